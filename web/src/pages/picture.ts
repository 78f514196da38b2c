import { pictureUrl } from '../format.ts';
import { must } from './parts.ts';

/** Shows a room's newest picture; its frame stays, empty, where none comes. */
export function showPicture(frame: HTMLElement, path: string | null, nowMs: number): void {
  frame.hidden = path === null;
  const picture = must(frame.querySelector('img'), 'picture');
  const wanted = path === null ? null : pictureUrl(path, nowMs);
  if (wanted === null || picture.getAttribute('src') === wanted) {
    return;
  }
  picture.onerror = () => picture.classList.add('missing');
  picture.onload = () => picture.classList.remove('missing');
  picture.src = wanted;
}
