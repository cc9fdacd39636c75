// The frame table: whose each machine frame is, what it is used as, and how often; Xen's page_info, as arrays.

/** Owners of a frame. Frames of Xen's own cannot be named by a guest at all. */
export const OWNER_XEN = 0;
export const OWNER_GUEST = 1;

/**
 * What a frame is used as. A frame has one type at a time, and changes it only when nothing refers to it by the old one:
 * so no page table can be written through a mapping. (The design is Xen's, told in its public interface's mmu_update.)
 */
export const TYPE_NONE = 0;
export const TYPE_L1 = 1;
export const TYPE_L2 = 2;
export const TYPE_L3 = 3;
export const TYPE_L4 = 4;
export const TYPE_DESCRIPTORS = 5;
/** The L2 table of a 32-bit guest's top GiB, which has Xen's part in it: no other address space can have it too. */
export const TYPE_XEN_L2 = 6;
export const TYPE_WRITABLE = 7;

/** Flags of a frame. */
const PINNED = 1;
const VALIDATED = 2;
/** The domain has the frame as a page of its own: one of its references. */
const ALLOCATED = 4;

/** The state of the table: plain arrays by machine frame number. */
export interface FrameState {
  readonly owner: Uint8Array;
  readonly type: Uint8Array;
  readonly flags: Uint8Array;
  readonly typeCount: Uint32Array;
  readonly refs: Uint32Array;
  /** The TLB's clock when the last reference by type was dropped. */
  readonly stamp: Uint32Array;
  /** Entries of a table that refer to others of its level, or, negative, entries of others that refer to it so. */
  readonly linear: Int32Array;
  /** Full flushes of the TLB so far. */
  readonly clock: Uint32Array;
}

export function freshFrames(count: number): FrameState {
  return {
    owner: new Uint8Array(count),
    type: new Uint8Array(count),
    flags: new Uint8Array(count),
    typeCount: new Uint32Array(count),
    refs: new Uint32Array(count),
    stamp: new Uint32Array(count),
    linear: new Int32Array(count),
    clock: new Uint32Array(1),
  };
}

export class FrameTable {
  readonly state: FrameState;
  readonly count: number;

  constructor(state: FrameState) {
    this.state = state;
    this.count = state.owner.length;
  }

  /** A frame that the guest may name. */
  isGuests(mfn: number): boolean {
    return mfn < this.count && this.state.owner[mfn] === OWNER_GUEST;
  }

  /** A reference to one of the guest's frames; false: it has no such frame. */
  get(mfn: number): boolean {
    if (!this.isGuests(mfn) || this.state.refs[mfn] === 0) return false;
    this.state.refs[mfn]!++;
    return true;
  }

  /** True when that was the last one: the frame is nobody's any more. */
  put(mfn: number): boolean {
    return --this.state.refs[mfn]! === 0;
  }

  references(mfn: number): number {
    return this.state.refs[mfn]!;
  }

  /** A frame that is neither a table nor holds descriptors, now. */
  mayBeWritten(mfn: number): boolean {
    if (!this.isGuests(mfn)) return false;
    return this.state.typeCount[mfn] === 0 || this.state.type[mfn] === TYPE_WRITABLE;
  }

  typeOf(mfn: number): number {
    return this.state.type[mfn]!;
  }

  /** How many uses hold the frame to its type. */
  uses(mfn: number): number {
    return this.state.typeCount[mfn]!;
  }

  isPinned(mfn: number): boolean {
    return (this.state.flags[mfn]! & PINNED) !== 0;
  }

  setPinned(mfn: number, pinned: boolean): void {
    if (pinned) this.state.flags[mfn]! |= PINNED;
    else this.state.flags[mfn]! &= ~PINNED;
  }

  isValidated(mfn: number): boolean {
    return (this.state.flags[mfn]! & VALIDATED) !== 0;
  }

  setValidated(mfn: number, validated: boolean): void {
    if (validated) this.state.flags[mfn]! |= VALIDATED;
    else this.state.flags[mfn]! &= ~VALIDATED;
  }

  /** The first use as `type`. True: translations from the frame's former life may linger, and must be flushed first. */
  beginType(mfn: number, type: number): boolean {
    const { state } = this;
    const changes = state.type[mfn] !== type;
    const lingers = changes && state.type[mfn] !== TYPE_NONE && state.stamp[mfn] === state.clock[0];
    if (changes) {
      state.type[mfn] = type;
      this.setValidated(mfn, false);
    }
    state.typeCount[mfn] = 1;
    return lingers;
  }

  addUse(mfn: number): void {
    this.state.typeCount[mfn]!++;
  }

  /** An entry of `table` refers to `other`, of its level. False: one of them is at the other end of such an entry. */
  link(table: number, other: number): boolean {
    const { linear } = this.state;
    if (linear[table]! < 0 || linear[other]! > 0) return false;
    linear[table]!++;
    linear[other]!--;
    return true;
  }

  unlink(table: number, other: number): void {
    this.state.linear[table]!--;
    this.state.linear[other]!++;
  }

  /** True when that was the last use as this type. */
  dropUse(mfn: number): boolean {
    const { state } = this;
    if (--state.typeCount[mfn]! !== 0) return false;
    state.stamp[mfn] = state.clock[0]!;
    return true;
  }

  /** Validation has failed: the frame is as if it had never been tried. */
  forgetType(mfn: number): void {
    this.state.typeCount[mfn] = 0;
    this.state.type[mfn] = TYPE_NONE;
    this.setValidated(mfn, false);
  }

  /** The TLB has been emptied. */
  flushed(): void {
    this.state.clock[0]!++;
  }

  /** A frame of Xen's that the guest may map for reading and writing, but can never make a table of. */
  share(mfn: number): void {
    const { state } = this;
    state.owner[mfn] = OWNER_GUEST;
    state.refs[mfn] = 1;
    state.type[mfn] = TYPE_WRITABLE;
    state.typeCount[mfn] = 1;
    this.setValidated(mfn, true);
  }

  /** A page for the guest. */
  give(mfn: number): void {
    this.state.owner[mfn] = OWNER_GUEST;
    this.state.refs[mfn] = 1;
    this.setPage(mfn, true);
  }

  isPage(mfn: number): boolean {
    return this.isGuests(mfn) && (this.state.flags[mfn]! & ALLOCATED) !== 0;
  }

  setPage(mfn: number, allocated: boolean): void {
    if (allocated) this.state.flags[mfn]! |= ALLOCATED;
    else this.state.flags[mfn]! &= ~ALLOCATED;
  }

  /** The frame goes back to Xen. */
  take(mfn: number): void {
    this.state.owner[mfn] = OWNER_XEN;
    this.state.type[mfn] = TYPE_NONE;
    this.state.flags[mfn] = 0;
  }
}
