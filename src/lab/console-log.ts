// What the guest's console has printed: passed on in chunks, digested, searched, and its end kept; never more than that.

import { Sha256 } from '../base/sha256.ts';
import { TextMatcher } from './text-matcher.ts';

/** The end of the output that reports quote. */
const KEPT_BYTES = 16384;
/** Output that waits for the host: more than this ends the slice, so that a flood is passed on at the host's pace. */
const CHUNK_BYTES = 65536;
const LINE_LETTERS_MAX = 400;
const NEWLINE = 10;

export class ConsoleLog {
  /** Total bytes printed. */
  bytes = 0;
  private readonly onText: (text: string) => void;
  private readonly matchers: TextMatcher[] = [];
  private readonly chunk = new Uint8Array(CHUNK_BYTES);
  private chunkUsed = 0;
  private readonly kept = new Uint8Array(KEPT_BYTES);
  private readonly hash = new Sha256();

  /** `onText` hears each time that one of the watched texts has been printed. */
  constructor(onText: (text: string) => void) {
    this.onText = onText;
  }

  watch(text: string): void {
    if (!this.matchers.some((matcher) => matcher.text === text)) {
      this.matchers.push(new TextMatcher(text));
    }
  }

  /** Whether the chunk must be taken before more is printed. */
  put(byte: number): boolean {
    if (this.chunkUsed === CHUNK_BYTES) this.digestChunk();
    this.chunk[this.chunkUsed++] = byte;
    this.kept[this.bytes % KEPT_BYTES] = byte;
    this.bytes++;
    for (let i = 0; i < this.matchers.length; i++) {
      if (this.matchers[i]!.next(byte)) this.onText(this.matchers[i]!.text);
    }
    return this.chunkUsed >= CHUNK_BYTES / 2;
  }

  waiting(): boolean {
    return this.chunkUsed > 0;
  }

  /** Output since the last time. */
  take(): Uint8Array {
    const taken = this.chunk.slice(0, this.chunkUsed);
    this.digestChunk();
    return taken;
  }

  /** SHA-256 of all output. */
  digest(): string {
    this.digestChunk();
    return this.hash.hex();
  }

  /** The last lines, without control sequences; an unfinished line counts. Only as much is read as they take. */
  lastLines(count: number): string[] {
    const first = Math.max(this.bytes - KEPT_BYTES, 0);
    const lines: string[] = [];
    for (let end = this.bytes; end > first && lines.length < count; ) {
      let start = end;
      while (start > first && this.kept[(start - 1) % KEPT_BYTES] !== NEWLINE) start--;
      const line = plain(this.letters(start, Math.min(end, start + LINE_LETTERS_MAX)));
      if (line !== '') lines.push(line);
      end = start - 1;
    }
    return lines.reverse();
  }

  private letters(from: number, to: number): string {
    let line = '';
    for (let i = from; i < to; i++) line += String.fromCharCode(this.kept[i % KEPT_BYTES]!);
    return line;
  }

  private digestChunk(): void {
    this.hash.update(this.chunk.subarray(0, this.chunkUsed));
    this.chunkUsed = 0;
  }
}

/** Without escape sequences (ECMA-48 5.4) and other control characters. */
function plain(line: string): string {
  return (
    line
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
      .replace(/\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\x00-\x1f\x7f]/g, '')
      .replace(/[\x80-\xff]+/g, (bytes) => utf8Text(bytes))
      .trimEnd()
  );
}

function utf8Text(bytes: string): string {
  const escaped = Array.from(bytes, (c) => `%${c.charCodeAt(0).toString(16)}`).join('');
  return /^(?:%c[2-9a-f]%[89ab].|%d.%[89ab].|%e[1-9a-c](?:%[89ab].){2}|%ee(?:%[89ab].){2})+$/.test(
    escaped,
  )
    ? decodeURIComponent(escaped)
    : '?'.repeat(bytes.length);
}
