// Finds a text in a stream of bytes that comes one byte at a time (Knuth, Morris and Pratt).

export class TextMatcher {
  readonly text: string;
  private readonly pattern: Uint8Array;
  private readonly fallback: Int32Array;
  private matched = 0;

  constructor(text: string) {
    this.text = text;
    this.pattern = utf8(text);
    this.fallback = new Int32Array(this.pattern.length + 1);
    for (let i = 1, k = 0; i < this.pattern.length; i++) {
      while (k > 0 && this.pattern[i] !== this.pattern[k]) k = this.fallback[k]!;
      if (this.pattern[i] === this.pattern[k]) k++;
      this.fallback[i + 1] = k;
    }
  }

  /** Whether the text ends with this byte. The empty text never does. */
  next(byte: number): boolean {
    const { pattern } = this;
    if (pattern.length === 0) return false;
    if (this.matched === pattern.length) this.matched = this.fallback[this.matched]!;
    while (this.matched > 0 && pattern[this.matched] !== byte) {
      this.matched = this.fallback[this.matched]!;
    }
    if (pattern[this.matched] === byte) this.matched++;
    return this.matched === pattern.length;
  }
}

function utf8(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
  return Uint8Array.from(escaped.match(/%[0-9A-F]{2}|./g) ?? [], (unit) =>
    unit.length === 3 ? Number.parseInt(unit.slice(1), 16) : unit.charCodeAt(0),
  );
}
