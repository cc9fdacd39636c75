// One line on the terminal that says where long work stands, and goes away.

import { stripVTControlCharacters } from 'node:util';
import type { Progress } from '../lab/index.ts';

const INTERVAL_MS = 200;
const CLEAR = '\r\x1b[K';

export class ProgressLine {
  private readonly stream: NodeJS.WriteStream;
  private readonly on: boolean;
  private shown = false;
  private last = 0;
  private before = { at: 0, instructions: 0 };

  /** Quiet unless the stream is a terminal. */
  constructor(stream: NodeJS.WriteStream, wanted = true) {
    this.stream = stream;
    this.on = wanted && stream.isTTY === true;
  }

  run(name: string, { guestSeconds, instructions, lastLine }: Progress): void {
    const now = performance.now();
    if (!this.on || now - this.last < INTERVAL_MS) return;
    const { before } = this;
    const mips =
      before.at === 0 ? 0 : (instructions - before.instructions) / (now - before.at) / 1e3;
    this.before = { at: now, instructions };
    const millions = (instructions / 1e6).toFixed(0);
    this.say(
      `${name}  ${guestSeconds.toFixed(2)} s  ${millions} M instructions  ${mips.toFixed(0)} MIPS  ${lastLine}`,
    );
  }

  say(text: string): void {
    if (!this.on) return;
    this.last = performance.now();
    const width = (this.stream.columns || 80) - 1;
    this.stream.write(CLEAR + stripVTControlCharacters(text).slice(0, width));
    this.shown = true;
  }

  clear(): void {
    if (this.shown) this.stream.write(CLEAR);
    this.shown = false;
    this.before = { at: 0, instructions: 0 };
  }
}
