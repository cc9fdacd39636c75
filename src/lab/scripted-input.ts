// Console input that is known beforehand, cut into lines.

const NEWLINE = 10;

export class ScriptedInput {
  private rest: Uint8Array;

  constructor(bytes: Uint8Array | null) {
    this.rest = bytes ?? new Uint8Array(0);
  }

  pending(): boolean {
    return this.rest.length > 0;
  }

  /** The next line with its end; the last one may have none. */
  line(): Uint8Array {
    const end = this.rest.indexOf(NEWLINE);
    return end < 0 ? this.rest : this.rest.subarray(0, end + 1);
  }

  taken(bytes: number): void {
    this.rest = this.rest.subarray(bytes);
  }
}
