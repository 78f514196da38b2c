import { mark, part } from './parts.ts';

/** What buttons and keys do to the picture and the sound. */
export interface Controls {
  togglePlay(): void;
  toggleMute(): void;
  toggleFullscreen(): void;
  /** `steps` of 5 %, up or down. */
  changeVolume(steps: number): void;
}

/** Makes the controls over the picture work. */
export function wireControls(player: HTMLElement, video: HTMLVideoElement, togglePlay: () => void): Controls {
  const stage = part(player, 'stage', HTMLElement);
  const controls: Controls = {
    togglePlay,
    toggleMute: () => toggleMute(video),
    toggleFullscreen: () => toggleFullscreen(stage, video),
    changeVolume: (steps) => setVolume(video, video.muted ? Math.max(0, steps) * STEP : video.volume + steps * STEP),
  };
  onClick(player, 'play', controls.togglePlay);
  onClick(player, 'big-play', controls.togglePlay);
  onClick(player, 'mute', controls.toggleMute);
  onClick(player, 'unmute', controls.toggleMute);
  onClick(player, 'fullscreen', controls.toggleFullscreen);
  const volume = part(player, 'volume', HTMLInputElement);
  volume.addEventListener('input', () => setVolume(video, volume.valueAsNumber / 100));
  wirePointer(stage, video, controls);

  video.addEventListener('volumechange', () => showSound(player, video));
  new MutationObserver(() => showPaused(player)).observe(player, { attributeFilter: ['data-paused', 'data-state'] });
  showSound(player, video);
  return controls;
}

const STEP = 0.05;

function toggleMute(video: HTMLVideoElement): void {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) {
    video.volume = 0.5;
  }
}

function setVolume(video: HTMLVideoElement, volume: number): void {
  video.volume = Math.min(1, Math.max(0, volume));
  video.muted = video.volume === 0;
}

/** A phone that has no full screen for elements has one for its own player. */
function toggleFullscreen(stage: HTMLElement, video: HTMLVideoElement & { webkitEnterFullscreen?: () => void }): void {
  if (document.fullscreenElement !== null) {
    void document.exitFullscreen();
  } else if (stage.requestFullscreen !== undefined) {
    stage.requestFullscreen().catch(() => undefined);
  } else {
    video.webkitEnterFullscreen?.();
  }
}

function onClick(player: HTMLElement, name: string, act: () => void): void {
  part(player, name, HTMLButtonElement).addEventListener('click', act);
}

/** The controls show while the pointer moves; a mouse click on the picture pauses, a touch only shows the controls. */
function wirePointer(stage: HTMLElement, video: HTMLVideoElement, controls: Controls): void {
  let timer: number | undefined;
  const wake = (): void => {
    stage.classList.add('awake');
    clearTimeout(timer);
    timer = setTimeout(() => stage.classList.remove('awake'), AWAKE_MS);
  };
  stage.addEventListener('pointermove', wake);
  stage.addEventListener('pointerdown', wake);
  video.addEventListener('click', (event) => {
    if ((event as PointerEvent).pointerType !== 'touch') {
      controls.togglePlay();
    }
  });
  video.addEventListener('dblclick', controls.toggleFullscreen);
}

const AWAKE_MS = 2_500;

function showSound(player: HTMLElement, video: HTMLVideoElement): void {
  mark(player, 'data-muted', String(video.muted));
  part(player, 'volume', HTMLInputElement).valueAsNumber = video.muted ? 0 : Math.round(video.volume * 100);
  mark(part(player, 'mute', HTMLButtonElement), 'aria-label', video.muted ? 'Unmute' : 'Mute');
  part(player, 'unmute', HTMLButtonElement).hidden = !video.muted || player.dataset['state'] !== 'playing';
}

function showPaused(player: HTMLElement): void {
  const paused = player.dataset['paused'] === 'true';
  mark(part(player, 'play', HTMLButtonElement), 'aria-label', paused ? 'Play' : 'Pause');
  part(player, 'big-play', HTMLButtonElement).hidden = !paused;
  const silent = player.dataset['muted'] === 'true' && player.dataset['state'] === 'playing';
  part(player, 'unmute', HTMLButtonElement).hidden = !silent;
}
