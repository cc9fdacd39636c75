// A set of the 256 interrupt vectors, as the local APIC's IRR, ISR and TMR hold them: eight words of 32 bits.

/** Over words that their owner keeps; the highest vector is known without a search, since every change of a line asks for it. */
export class VectorSet {
  /** The highest vector, which has the highest priority; -1 if the set is empty. */
  highest = -1;
  private readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
    this.changed();
  }

  has(vector: number): boolean {
    return (this.words[vector >> 5]! & (1 << (vector & 31))) !== 0;
  }

  add(vector: number): void {
    this.words[vector >> 5]! |= 1 << (vector & 31);
    if (vector > this.highest) this.highest = vector;
  }

  remove(vector: number): void {
    this.words[vector >> 5]! &= ~(1 << (vector & 31));
    if (vector === this.highest) this.changed();
  }

  clear(): void {
    this.words.fill(0);
    this.highest = -1;
  }

  /** After the words were assigned from outside. */
  changed(): void {
    this.highest = -1;
    for (let i = 7; i >= 0 && this.highest < 0; i--) {
      const word = this.words[i]!;
      if (word !== 0) this.highest = i * 32 + 31 - Math.clz32(word);
    }
  }
}
