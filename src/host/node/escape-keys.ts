// The keys that are for pvops and not for the guest: Ctrl-A x leaves, Ctrl-A Ctrl-A is Ctrl-A, Ctrl-] opens a line for requests.

import { QUIT, REQUEST_WORDS, requestOf } from '../../lab/index.ts';

const CTRL_A = 0x01;
const CTRL_C = 0x03;
const BACKSPACE = 0x08;
const ESCAPE = 0x1b;
const CTRL_BRACKET = 0x1d;
const DELETE = 0x7f;
const FIRST_PRINTABLE = 0x20;
const LINE_MAX = 60;
const PROMPT = '\r\npvops> ';

export interface Filtered {
  readonly forGuest: Uint8Array;
  /** The user wants to leave. */
  readonly quit: boolean;
  /** What is asked of the guest. */
  readonly requests: readonly string[];
}

export class EscapeKeys {
  private escaped = false;
  /** The line being typed; null: keys are the guest's. */
  private line: string | null = null;
  private readonly show: (text: string) => void;

  /** `show` echoes the line, and says what became of it. */
  constructor(show: (text: string) => void = () => {}) {
    this.show = show;
  }

  /** What is left for the guest of a piece of input. */
  filter(bytes: Uint8Array): Filtered {
    const kept: number[] = [];
    const requests: string[] = [];
    const end = (quit: boolean) => ({ forGuest: Uint8Array.from(kept), quit, requests });
    for (const byte of bytes) {
      if (this.line !== null) {
        const asked = this.typed(byte, this.line);
        if (asked === QUIT) return end(true);
        if (asked !== null) requests.push(asked);
        continue;
      }
      if (!this.escaped && (byte === CTRL_A || byte === CTRL_BRACKET)) {
        this.escaped = byte === CTRL_A;
        if (byte === CTRL_BRACKET) this.open();
        continue;
      }
      if (this.escaped && (byte === 0x78 || byte === 0x58)) return end(true);
      this.escaped = false;
      kept.push(byte);
    }
    return end(false);
  }

  private open(): void {
    this.line = '';
    this.show(PROMPT);
  }

  /** A key of the line; answers the request when the line is complete and is one. */
  private typed(byte: number, line: string): string | null {
    switch (byte) {
      case 0x0d:
      case 0x0a:
        return this.complete(line);
      case ESCAPE:
      case CTRL_C:
      case CTRL_BRACKET:
        return this.complete('');
      case BACKSPACE:
      case DELETE:
        if (line !== '') this.show('\b \b');
        this.line = line.slice(0, -1);
        return null;
      default:
        if (byte < FIRST_PRINTABLE || byte > DELETE || line.length >= LINE_MAX) return null;
        this.line = line + String.fromCharCode(byte);
        this.show(String.fromCharCode(byte));
        return null;
    }
  }

  private complete(line: string): string | null {
    this.line = null;
    const asked = requestOf(line);
    this.show(asked === null && line.trim() !== '' ? `\r\n${REQUEST_WORDS}\r\n` : '\r\n');
    return asked;
  }
}
