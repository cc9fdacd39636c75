// What a user may ask of a guest or of the run: the words of `--at` and of the monitor at a terminal.

/** Ends the run; every other request goes to the guest. */
export const QUIT = 'quit';

/** For messages: what there is to be asked. */
export const REQUEST_WORDS =
  "shutdown, reboot, halt, suspend, 'sysrq h', 'balloon 256' (MiB) or quit";

const PLAIN: Readonly<Record<string, string>> = {
  shutdown: 'poweroff',
  poweroff: 'poweroff',
  reboot: 'reboot',
  halt: 'halt',
  suspend: 'suspend',
  quit: QUIT,
};
const WITH_ARGUMENT = /^(?:sysrq [0-9a-z]|balloon [1-9][0-9]{0,4})$/;

/** As interfaces know it (machine/request-end.ts); null: no such request. */
export function requestOf(text: string): string | null {
  const words = text.trim().replace(/ +/g, ' ');
  if (Object.hasOwn(PLAIN, words)) return PLAIN[words]!;
  return WITH_ARGUMENT.test(words) ? words : null;
}
