import { parseChoice, type Choice } from '../route.ts';

/** Lets the viewer choose a protocol, and keeps the choice in the address; answers with the same for keys. */
export function wireChoices(player: HTMLElement, choose: (choice: Choice) => void): (choice: Choice) => void {
  const chosen = (choice: Choice): void => {
    const address = new URL(location.href);
    if (choice === 'auto') {
      address.searchParams.delete('protocol');
    } else {
      address.searchParams.set('protocol', choice);
    }
    history.replaceState(null, '', address);
    choose(choice);
  };
  for (const button of player.querySelectorAll<HTMLButtonElement>('[data-choose]')) {
    button.addEventListener('click', () => chosen(parseChoice(button.dataset['choose'] ?? null)));
  }
  return chosen;
}
