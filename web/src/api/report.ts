import { asksForPrivacy, Experience, type Report, type Sight } from '../play/experience.ts';

/** Tells the node what this viewer sees: after the first seconds, each minute, and when the page goes. Nothing names the viewer or the room. */
export function reportExperience(): (sight: Sight) => void {
  if (asksForPrivacy(navigator)) {
    return () => undefined;
  }
  const experience = new Experience();
  addEventListener('pagehide', () => send(experience.take(performance.now())));
  return (sight) => send(experience.look(performance.now(), sight));
}

function send(report: Report | null): void {
  if (report !== null) {
    // It goes out even while the page is being closed; whether it arrives is of no matter here.
    navigator.sendBeacon('/api/v1/qoe', JSON.stringify(report));
  }
}
