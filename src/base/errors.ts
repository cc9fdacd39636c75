// The two errors that travel as exceptions: wrong input (the user's to fix) and a broken invariant (ours).

/** Wrong input: a file, an option, a config. Exit status 2, no stack. `code` is stable, e.g. `image/not-elf`. */
export class InputError extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint: string) {
    super(message);
    this.name = 'InputError';
    this.code = code;
    this.hint = hint;
  }
}

/** A broken invariant of pvops itself. Exit status 70 with `dump`, if any. */
export class BugError extends Error {
  readonly dump: string;

  constructor(message: string, dump = '') {
    super(message);
    this.name = 'BugError';
    this.dump = dump;
  }
}

export function bug(message: string, dump = ''): never {
  throw new BugError(message, dump);
}
