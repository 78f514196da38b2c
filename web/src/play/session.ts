import type { Answer } from '../api/ask.ts';
import type { Live } from '../api/live.ts';
import type { Choice, Place } from '../route.ts';
import { Attempt } from './attempt.ts';
import { backoffMs } from './backoff.ts';
import { rangesOf } from './buffered.ts';
import { bufferAheadS } from './latency.ts';
import { afterFailure, afterPicture, current, exhausted, firstPlan, type Plan } from './plan.ts';
import { obstacle, playable } from './codecs.ts';
import { candidates, type Abilities, type Protocol } from './protocol.ts';
import { RoomWatch } from './room-watch.ts';
import { judge, type Facts, type Verdict } from './verdict.ts';

/** All that a page shows of a session, a few times a second. */
export interface Snapshot {
  readonly verdict: Verdict;
  readonly live: Live | null;
  readonly protocol: Protocol | null;
  readonly choice: Choice;
  readonly paused: boolean;
  readonly latencyMs: number | null;
  readonly bitsPerSecond: number | null;
  readonly bufferMs: number;
  readonly stalls: number;
  readonly droppedFrames: number;
}

/** Watches one room for as long as its page is open: follows the room's state, and keeps one attempt going while it is live. */
export class Session {
  readonly #video: HTMLVideoElement;
  readonly #can: Abilities;
  readonly #show: (snapshot: Snapshot) => void;
  readonly #watch: RoomWatch;
  #choice: Choice;
  #plan: Plan | null;
  #attempt: Attempt | null = null;
  #answer: Answer | null = null;
  #unansweredAsks = 0;
  #retryAtMs = 0;
  #parked = false;
  #everMoved = false;
  #earlierStalls = 0;
  #pausedAtMs: number | null = null;

  constructor(video: HTMLVideoElement, at: Place, choice: Choice, can: Abilities, show: (snapshot: Snapshot) => void) {
    this.#video = video;
    this.#can = can;
    this.#show = show;
    this.#choice = choice;
    this.#plan = firstPlan(this.#found());
    this.#watch = new RoomWatch(at, (answer) => this.#hear(answer));
  }

  start(): void {
    this.#watch.askNow();
    setInterval(() => this.#tick(performance.now()), TICK_MS);
  }

  /** Starts over with another protocol. */
  choose(choice: Choice): void {
    this.#choice = choice;
    this.#plan = firstPlan(this.#found());
    this.#parked = false;
    this.#retryAtMs = 0;
    this.#everMoved = false;
    this.#closeAttempt();
    this.#tick(performance.now());
  }

  /** Pauses, or goes on at the live edge. */
  togglePlay(): void {
    if (this.#parked) {
      this.#parked = false;
    } else if (this.#attempt?.paused) {
      this.#attempt.play();
    } else {
      this.#attempt?.pause();
    }
    this.#tick(performance.now());
  }

  #hear(answer: Answer): void {
    this.#unansweredAsks = isNone(answer) ? this.#unansweredAsks + 1 : 0;
    // One unanswered question says little; until the second, the last answer stands.
    if (isNone(answer) && this.#answer !== null && this.#unansweredAsks < 2) {
      return;
    }
    const wasOver = this.#answer?.is === 'ended' || this.#answer?.is === 'not-live';
    if (wasOver && answer.is === 'live') {
      this.#everMoved = false;
    }
    // Whatever is still open belongs to a broadcast, or a node, that is gone; unless it only did not say.
    if (this.#answer !== null && this.#answer.is !== 'live' && this.#answer.is !== 'crowded' && answer.is === 'live') {
      this.#closeAttempt();
    }
    this.#answer = answer;
    this.#replan();
    this.#tick(performance.now());
  }

  /** Starts a new plan where other protocols can bring the broadcast than the plan has. */
  #replan(): void {
    if (this.#liveNow() === null) {
      return;
    }
    const found = this.#found();
    if (found.join() !== (this.#plan?.candidates ?? []).join()) {
      this.#plan = firstPlan(found);
    }
    if (this.#attempt !== null && !found.includes(this.#attempt.protocol)) {
      this.#closeAttempt();
    }
  }

  /** The protocols to try: those of the choice that the node serves, and by which the codecs can be played here. */
  #found(): Protocol[] {
    const live = this.#liveNow();
    const served = candidates(this.#choice, this.#can, live?.urls ?? null);
    return live === null ? served : playable(served, live, this.#can.decodes);
  }

  /** What no protocol at all can bring here, whatever the choice. */
  #obstacle(): string | null {
    const live = this.#liveNow();
    if (live === null || !this.#can.mediaSource) {
      return null;
    }
    const served = candidates('auto', this.#can, live.urls);
    const [first] = served.map((protocol) => obstacle(protocol, live, this.#can.decodes));
    return playable(served, live, this.#can.decodes).length === 0 ? (first ?? null) : null;
  }

  #tick(nowMs: number): void {
    this.#follow(nowMs);
    this.#park(nowMs);
    this.#start(nowMs);
    this.#show(this.#snapshot(nowMs));
  }

  /** Looks after the running attempt. */
  #follow(nowMs: number): void {
    const attempt = this.#attempt;
    if (attempt === null) {
      return;
    }
    const wasMoving = attempt.progress.moving;
    attempt.tick(nowMs, this.#roomFact() === 'interrupted');
    const { moving } = attempt.progress;
    this.#everMoved ||= moving;
    if (this.#plan !== null && attempt.progress.sinceFirstMoveMs(nowMs) > PROVEN_MS) {
      this.#plan = afterPicture(this.#plan);
    }
    if (wasMoving && !moving) {
      this.#watch.askNow();
    }
    if (attempt.outcome !== null) {
      this.#retire(attempt, attempt.outcome, nowMs);
    } else if (!moving && this.#liveNow() === null && !isNone(this.#answer)) {
      // The node says that there is nothing to see any more, and there is not.
      this.#closeAttempt();
    }
  }

  #retire(attempt: Attempt, outcome: 'finished' | 'failed', nowMs: number): void {
    const hadPicture = attempt.progress.everMoved;
    // A paused viewer is not surprised by a picture that starts by itself.
    this.#parked = attempt.paused;
    this.#closeAttempt();
    this.#watch.askNow();
    if (this.#plan === null) {
      return;
    }
    // A finished stream of a room that is still live is a lost connection in good manners.
    this.#plan = afterFailure(this.#plan, hadPicture || outcome === 'finished');
    const inFirstRound = !hadPicture && outcome === 'failed' && !exhausted(this.#plan);
    this.#retryAtMs = inFirstRound ? nowMs : nowMs + backoffMs(this.#plan.failures, Math.random());
  }

  /** Gives the connection back when the viewer has paused for long. */
  #park(nowMs: number): void {
    this.#pausedAtMs = this.#attempt?.paused ? (this.#pausedAtMs ?? nowMs) : null;
    if (this.#pausedAtMs !== null && nowMs - this.#pausedAtMs > PARK_AFTER_MS) {
      this.#parked = true;
      this.#closeAttempt();
    }
  }

  #start(nowMs: number): void {
    const live = this.#liveNow();
    if (this.#attempt === null && live !== null && this.#plan !== null && !this.#parked && nowMs >= this.#retryAtMs) {
      this.#attempt = new Attempt(this.#video, current(this.#plan), live, nowMs);
    }
  }

  #closeAttempt(): void {
    this.#earlierStalls += this.#attempt?.progress.stalls ?? 0;
    this.#attempt?.close();
    this.#attempt = null;
  }

  #liveNow(): Live | null {
    return this.#answer?.is === 'live' ? this.#answer.live : null;
  }

  #snapshot(nowMs: number): Snapshot {
    const reading = this.#attempt?.reading(nowMs);
    return {
      verdict: judge({
        room: this.#roomFact(),
        media: this.#mediaFact(),
        obstacle: this.#obstacle(),
        everMoved: this.#everMoved,
      }),
      live: this.#liveNow(),
      protocol: this.#attempt?.protocol ?? null,
      choice: this.#choice,
      paused: this.#parked || (this.#attempt?.paused ?? false),
      latencyMs: this.#attempt?.progress.everMoved ? (reading?.latencyMs ?? null) : null,
      bitsPerSecond: reading?.bitsPerSecond ?? null,
      bufferMs: Math.round(bufferAheadS(rangesOf(this.#video), this.#video.currentTime) * 1000),
      stalls: this.#earlierStalls + (this.#attempt?.progress.stalls ?? 0),
      droppedFrames: this.#video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0,
    };
  }

  #roomFact(): Facts['room'] {
    if (this.#answer?.is === 'live') {
      return this.#answer.live.interrupted ? 'interrupted' : 'live';
    }
    return this.#answer?.is ?? 'unknown';
  }

  #mediaFact(): Facts['media'] {
    if (this.#parked) {
      return 'parked';
    }
    if (this.#plan === null) {
      return 'unsupported';
    }
    if (this.#attempt?.progress.everMoved) {
      return this.#attempt.progress.moving ? 'moving' : 'still';
    }
    if (exhausted(this.#plan)) {
      return 'failed';
    }
    return this.#attempt === null ? 'idle' : 'connecting';
  }
}

/** The node said nothing of the room. */
function isNone(answer: Answer | null): boolean {
  return answer?.is === 'unreachable' || answer?.is === 'crowded';
}

const TICK_MS = 250;
// A picture that moved this long shows that the protocol works; a stream that breaks sooner counts towards the backoff.
const PROVEN_MS = 5_000;
const PARK_AFTER_MS = 30_000;
