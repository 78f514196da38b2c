import { CHOICES, type Choice } from '../route.ts';
import type { Controls } from './controls.ts';

/** Lets the keyboard do what the buttons do. */
export function wireKeys(controls: Controls, choose: (choice: Choice) => void): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) {
      return;
    }
    const act = actionOf(event.key, controls, choose);
    if (act !== null) {
      event.preventDefault();
      act();
    }
  });
}

/** A focused button answers to the space bar itself, and the volume slider to the arrows. */
function isTaken({ target, key }: KeyboardEvent): boolean {
  if (target instanceof HTMLInputElement) {
    return key.startsWith('Arrow');
  }
  return key === ' ' && (target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement);
}

function actionOf(key: string, controls: Controls, choose: (choice: Choice) => void): (() => void) | null {
  switch (key) {
    case ' ':
      return controls.togglePlay;
    case 'm':
    case 'M':
      return controls.toggleMute;
    case 'f':
    case 'F':
      return controls.toggleFullscreen;
    case 'ArrowUp':
      return () => controls.changeVolume(1);
    case 'ArrowDown':
      return () => controls.changeVolume(-1);
    default: {
      const choice = /^[1-9]$/.test(key) ? CHOICES[Number(key) - 1] : undefined;
      return choice === undefined ? null : () => choose(choice);
    }
  }
}
