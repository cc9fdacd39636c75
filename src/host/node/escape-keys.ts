// The keys that are for pvops and not for the guest: Ctrl-A x leaves, Ctrl-A Ctrl-A is Ctrl-A.

const CTRL_A = 0x01;

export class EscapeKeys {
  private escaped = false;

  /** What is left for the guest of a piece of input; `quit` if the user wants to leave. */
  filter(bytes: Uint8Array): { readonly forGuest: Uint8Array; readonly quit: boolean } {
    const kept: number[] = [];
    for (const byte of bytes) {
      if (!this.escaped && byte === CTRL_A) {
        this.escaped = true;
        continue;
      }
      if (this.escaped && (byte === 0x78 || byte === 0x58)) {
        return { forGuest: Uint8Array.from(kept), quit: true };
      }
      this.escaped = false;
      kept.push(byte);
    }
    return { forGuest: Uint8Array.from(kept), quit: false };
  }
}
