// Consoles of a run: the user's terminal in raw mode, a plain stream, or nobody.

import { once } from 'node:events';
import type { LabConsole } from '../../lab/index.ts';
import { EscapeKeys } from './escape-keys.ts';

/** A console that can be waited for and has to be closed. */
export interface NodeConsole extends LabConsole {
  /** Calls back when something was typed or the user wants to leave. */
  onActivity(listener: () => void): void;
  close(): void;
}

const SIGNALS = ['SIGTERM', 'SIGHUP'] as const;
const NOTHING = new Uint8Array(0);

/** Typed input that has not been read: a terminal that pastes faster than the guest reads is held back at this. */
const TYPED_BYTES_MAX = 1 << 16;

/** Stdin in raw mode and stdout: Ctrl-C goes to the guest. */
export function terminalConsole(stdin: NodeJS.ReadStream, stdout: NodeJS.WriteStream): NodeConsole {
  const keys = new EscapeKeys((text) => stdout.write(text));
  let asked: string[] = [];
  let typed: Uint8Array = NOTHING;
  let quit = false;
  let listener = () => {};
  const onData = (chunk: Uint8Array) => {
    const { forGuest, quit: leaving, requests } = keys.filter(chunk);
    asked.push(...requests);
    typed = Buffer.concat([typed, forGuest]);
    quit ||= leaving;
    if (typed.length > TYPED_BYTES_MAX) stdin.pause();
    listener();
  };
  const leave = () => {
    quit = true;
    listener();
  };
  const restore = () => stdin.setRawMode(false);
  stdin.setRawMode(true);
  stdin.on('data', onData);
  stdin.on('end', leave);
  process.on('exit', restore);
  for (const signal of SIGNALS) process.on(signal, leave); // Else they would leave the terminal raw.
  return {
    write: (bytes) => writeAll(stdout, bytes),
    read() {
      const bytes = typed;
      typed = NOTHING;
      if (bytes.length > 0 && stdin.isPaused()) stdin.resume();
      return bytes;
    },
    quit: () => quit,
    requests() {
      const all = asked;
      asked = [];
      return all;
    },
    onActivity(added) {
      listener = added;
    },
    close() {
      process.off('exit', restore);
      for (const signal of SIGNALS) process.off(signal, leave);
      stdin.off('data', onData);
      stdin.off('end', leave);
      restore();
      stdin.pause();
    },
  };
}

/** Output to a stream (null: nowhere), no input. */
export function outputConsole(stream: NodeJS.WritableStream | null): NodeConsole {
  return {
    write: (bytes) => (stream ? writeAll(stream, bytes) : Promise.resolve()),
    read: () => NOTHING,
    quit: () => false,
    onActivity: () => {},
    close: () => {},
  };
}

/** Waits for a slow reader: a flood of output must not pile up here. */
async function writeAll(stream: NodeJS.WritableStream, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain');
}
