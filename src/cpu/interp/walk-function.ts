// A page walk in WebAssembly, with what walk.ts finds, raises and marks, where tables and page are plain RAM.

import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
  PF,
} from '../control-bits.ts';
import { FRAME_CODE, FRAME_DIRTY, FRAME_MMIO, FRAME_WATCH } from '../frames.ts';
import { FIELDS, type FieldName, type Layout } from '../state.ts';
import { ENTRY_GLOBAL, ENTRY_SIZE_SHIFT, ENTRY_WRITE } from '../tlb.ts';
import {
  FETCH,
  PF_I,
  PF_P,
  PF_RSVD,
  PF_U,
  PF_W,
  PTE_A,
  PTE_D,
  PTE_G,
  PTE_P,
  PTE_PS,
  PTE_RW,
  PTE_US,
  RESERVED_HI,
  RESERVED_HI_PAE,
  RESERVED_PDPTE_LO,
  WRITE,
} from '../walk.ts';
import { Code } from '../wasm/encode.ts';

type Places = Pick<Layout, 'state' | 'frameAttrs' | 'ramBase' | 'ramBytes'>;

/** What a walk leaves: the flags of a TLB entry in the high half, and in the low one the page's address, or one of these. */
export const WALK_FAULTED = 1;
export const WALK_DECLINED = 2;
/** In the low bits of the page's address: it is not RAM. */
export const WALK_DEVICE = 3;

/** Bits 12..39 of an entry. */
const ADDRESS = 0xff_ffff_f000n;
const XD = 1n << 63n;
const FOUR_KIB_FLAGS = 12 << ENTRY_SIZE_SHIFT;

/**
 * `(va i64, kind, user, smap) -> i64`. It has no effect where it declines: for tables and code that are not RAM, a page
 * to be written that holds decoded code or is watched, and tables with decoded code that need to be marked.
 */
export function walkFunction(places: Places): Code {
  return new WalkFunction(places).emit();
}

class WalkFunction {
  private readonly c = new Code(4);
  private readonly va = 0;
  private readonly kind = 1;
  private readonly user = 2;
  private readonly smap = 3;
  private readonly at = this.c.take('i64');
  /** The entry just read, and the address of the page. */
  private readonly entry = this.c.take('i64');
  private readonly page = this.c.take('i64');
  private readonly shift = this.c.take('i32');
  private readonly rights = this.c.take('i32');
  private readonly noExecute = this.c.take('i32');
  private readonly cause = this.c.take('i32');
  private readonly leafFlags = this.c.take('i32');
  private readonly frame = this.c.take('i32');
  /** Addresses of the entries with an accessed flag above the last (0: none), and of the last. */
  private readonly above = [this.c.take('i32'), this.c.take('i32'), this.c.take('i32')] as const;
  private readonly last = this.c.take('i32');
  private readonly places: Places;
  private declined = 0;
  private faulted = 0;
  private found = 0;

  constructor(places: Places) {
    this.places = places;
  }

  emit(): Code {
    const { c } = this;
    c.i32(-1).set(this.rights);
    this.declined = c.block();
    this.faulted = c.block();
    this.found = c.block();
    this.field('cr0').i32(CR0_PG).op('i32.and').op('i32.eqz').iff();
    this.withoutPaging();
    c.end();
    this.field('efer').i32(EFER_LMA).op('i32.and').iff();
    this.fourLevels();
    c.end();
    this.field('cr4').i32(CR4_PAE).op('i32.and').iff();
    this.pae();
    c.end();
    this.twoLevels();
    c.end();
    this.finish();
    c.end();
    this.raise();
    c.end();
    c.i64(BigInt(WALK_DECLINED));
    return c;
  }

  private withoutPaging(): void {
    const { c } = this;
    c.get(this.va).i64(0xfffff000n).op('i64.and').set(this.page);
    this.checkPage();
    this.leave(() => c.i32(ENTRY_WRITE | FOUR_KIB_FLAGS));
  }

  /** SDM 3A 4.5. */
  private fourLevels(): void {
    this.field('cr3').i64(ADDRESS).op('i64.and').set(this.at);
    for (const level of [4, 3, 2, 1] as const) {
      this.readEntry64(9 * level + 3, RESERVED_HI);
      if (level === 1) this.leaf();
      else if (level === 4) this.refuseIf(() => this.bits(PTE_PS), PF_P | PF_RSVD);
      else this.largeIf(9 * level + 3);
      if (level > 1) this.descend(this.above[4 - level] as number);
    }
  }

  /** SDM 3A 4.4, and APM 2 5.2.3 as walk.ts has it. */
  private pae(): void {
    const { c } = this;
    this.field('cr3').i64(0xffffffe0n).op('i64.and');
    c.get(this.va).i64(30n).op('i64.shr_u').i64(3n).op('i64.and').i64(3n).op('i64.shl');
    c.op('i64.add').set(this.at);
    this.read('i64.load');
    this.refuseIf(() => this.bits(PTE_P).op('i32.eqz'), 0);
    this.refuseIf(() => {
      c.get(this.entry).i64(BigInt(RESERVED_PDPTE_LO) | (~0xffn << 32n));
      c.op('i64.and').op('i64.eqz').op('i32.eqz');
    }, PF_P | PF_RSVD);
    c.get(this.entry).i64(ADDRESS).op('i64.and').set(this.at);
    this.readEntry64(21, RESERVED_HI_PAE);
    this.largeIf(21);
    this.descend(this.above[0]);
    this.readEntry64(12, RESERVED_HI_PAE);
    this.leaf();
  }

  /** SDM 3A 4.3. */
  private twoLevels(): void {
    const { c } = this;
    this.field('cr3').i64(0xfffff000n).op('i64.and').set(this.at);
    this.readEntry32(22);
    this.bits(PTE_PS).i32(0).op('i32.ne');
    this.field('cr4').i32(CR4_PSE).op('i32.and').i32(0).op('i32.ne').op('i32.and').iff();
    this.refuseIf(() => this.bits(1 << 21), PF_P | PF_RSVD);
    // PSE-36: bits 13..20 of the entry are bits 32..39 of the address.
    c.get(this.entry).i64(0x1fe000n).op('i64.and').i64(19n).op('i64.shl');
    c.get(this.entry).i64(0xffc00000n).op('i64.and').op('i64.or');
    c.get(this.va).i64(0x3ff000n).op('i64.and').op('i64.or').set(this.page);
    c.i32(22).set(this.shift).br(this.found);
    c.end();
    this.descend(this.above[0]);
    this.readEntry32(12);
    this.leaf();
  }

  /** Reads the entry for `va` in the table at `at`, and collects its rights. */
  private readEntry64(shift: number, reserved: number): void {
    const { c } = this;
    c.get(this.at)
      .get(this.va)
      .i64(BigInt(shift - 3))
      .op('i64.shr_u')
      .i64(0xff8n);
    c.op('i64.and').op('i64.add').set(this.at);
    this.read('i64.load');
    this.refuseIf(() => this.bits(PTE_P).op('i32.eqz'), 0);
    this.refuseIf(() => {
      c.get(this.entry)
        .i64(BigInt(reserved) << 32n)
        .op('i64.and')
        .op('i64.eqz')
        .op('i32.eqz');
    }, PF_P | PF_RSVD);
    this.collect();
    c.get(this.entry).i64(XD).op('i64.and').op('i64.eqz').op('i32.eqz').iff();
    c.i32(1).set(this.noExecute);
    this.refuseIf(() => {
      this.field('efer').i32(EFER_NXE).op('i32.and').op('i32.eqz');
    }, PF_P | PF_RSVD);
    c.end();
  }

  private readEntry32(shift: number): void {
    const { c } = this;
    c.get(this.at)
      .get(this.va)
      .i64(BigInt(shift - 2))
      .op('i64.shr_u')
      .i64(0xffcn);
    c.op('i64.and').op('i64.add').set(this.at);
    this.read('i64.load32_u');
    this.refuseIf(() => this.bits(PTE_P).op('i32.eqz'), 0);
    this.collect();
  }

  /** From guest-physical `at`, which must be RAM, to `entry`; `last` = its address. */
  private read(load: string): void {
    const { c } = this;
    this.unlessRam(this.at, this.declined);
    c.get(this.at).op('i32.wrap_i64').i32(this.places.ramBase).op('i32.add').tee(this.last);
    c.mem(load, 0).set(this.entry);
  }

  private collect(): void {
    this.c.get(this.entry).op('i32.wrap_i64').get(this.rights).op('i32.and').set(this.rights);
  }

  private descend(above: number): void {
    const { c } = this;
    c.get(this.last).set(above);
    c.get(this.entry).i64(ADDRESS).op('i64.and').set(this.at);
  }

  private leaf(): void {
    const { c } = this;
    c.get(this.entry).i64(ADDRESS).op('i64.and').set(this.page);
    c.i32(12).set(this.shift).br(this.found);
  }

  /** A page of 2 MiB or 1 GiB: bit 12 is PAT, the bits between it and the page's own are reserved. */
  private largeIf(shift: number): void {
    const { c } = this;
    const within = (1n << BigInt(shift)) - 0x1000n;
    this.bits(PTE_PS).iff();
    this.refuseIf(() => this.bits(Number(within & ~0x1000n)), PF_P | PF_RSVD);
    c.get(this.entry)
      .i64(ADDRESS & ~within)
      .op('i64.and');
    c.get(this.va).i64(within).op('i64.and').op('i64.or').set(this.page);
    c.i32(shift).set(this.shift).br(this.found);
    c.end();
  }

  /** Access rights, then accessed and dirty flags. SDM 3A 4.6.1, 4.8. */
  private finish(): void {
    const { c } = this;
    c.i32(PF_P).set(this.cause);
    this.checkRights();
    this.checkPage();
    this.mark();
    this.leave(() => this.pushFlags());
  }

  private checkRights(): void {
    const { c } = this;
    const right = (bit: number) => c.get(this.rights).i32(bit).op('i32.and');
    c.get(this.kind).i32(FETCH).op('i32.eq').iff();
    c.get(this.noExecute).brIf(this.faulted);
    right(PTE_US).op('i32.eqz').get(this.user).op('i32.and').brIf(this.faulted);
    right(PTE_US).i32(0).op('i32.ne').get(this.user).op('i32.eqz').op('i32.and');
    this.field('cr4').i32(CR4_SMEP).op('i32.and').i32(0).op('i32.ne').op('i32.and');
    c.brIf(this.faulted);
    c.else();
    right(PTE_US).op('i32.eqz').get(this.user).op('i32.and').brIf(this.faulted);
    right(PTE_US).i32(0).op('i32.ne').get(this.smap).op('i32.and');
    c.get(this.user).op('i32.eqz').op('i32.and').brIf(this.faulted);
    c.get(this.kind).i32(WRITE).op('i32.eq').iff();
    right(PTE_RW).op('i32.eqz').iff();
    c.get(this.user).brIf(this.faulted);
    this.field('cr0').i32(CR0_WP).op('i32.and').brIf(this.faulted);
    c.end().end().end();
  }

  /** It must be RAM, and if it is to be written, plainly; or a device's, below 4 GiB, and not code. */
  private checkPage(): void {
    const { c } = this;
    const checked = c.block();
    const device = c.block();
    this.unlessRam(this.page, device);
    this.pushAttributes(() => c.get(this.page).op('i32.wrap_i64'));
    c.i32(FRAME_CODE | FRAME_WATCH)
      .op('i32.and')
      .i32(0)
      .op('i32.ne');
    c.get(this.kind).i32(WRITE).op('i32.eq').op('i32.and').brIf(this.declined);
    c.br(checked);
    c.end();
    c.get(this.kind).i32(FETCH).op('i32.eq').brIf(this.declined);
    c.get(this.page).i64(32n).op('i64.shr_u').op('i32.wrap_i64').brIf(this.declined);
    c.get(this.page).i64(BigInt(WALK_DEVICE)).op('i64.or').set(this.page);
    c.end();
  }

  /** Sets what flags are clear, if no table that lacks one holds decoded code. */
  private mark(): void {
    const { c } = this;
    const flags = this.leafFlags;
    c.i32(PTE_A | PTE_D)
      .i32(PTE_A)
      .get(this.kind)
      .i32(WRITE)
      .op('i32.eq')
      .op('select')
      .set(flags);
    const lacks = (entry: number, push: () => void) => {
      c.get(entry).mem('i32.load', 0);
      push();
      c.op('i32.and');
      push();
      c.op('i32.ne');
    };
    const entries = [
      ...this.above.map((entry) => ({ entry, push: () => void c.i32(PTE_A) })),
      { entry: this.last, push: () => void c.get(flags) },
    ];
    // Most walks find all of them set.
    c.get(this.rights).i32(PTE_A).op('i32.and').op('i32.eqz');
    lacks(this.last, () => void c.get(flags));
    c.op('i32.or').iff();
    for (const { entry, push } of entries) {
      c.get(entry).iff();
      lacks(entry, push);
      this.pushAttributesAt(entry);
      c.i32(FRAME_CODE).op('i32.and').i32(0).op('i32.ne').op('i32.and').brIf(this.declined);
      c.end();
    }
    for (const { entry, push } of entries) {
      c.get(entry).iff();
      lacks(entry, push);
      c.iff();
      c.get(entry).get(entry).mem('i32.load', 0);
      push();
      c.op('i32.or').mem('i32.store', 0);
      c.get(entry).i32(this.places.ramBase).op('i32.sub').i32(12).op('i32.shr_u').tee(this.frame);
      c.get(this.frame).mem('i32.load8_u', this.places.frameAttrs).i32(FRAME_DIRTY).op('i32.or');
      c.mem('i32.store8', this.places.frameAttrs);
      c.end().end();
    }
    c.end();
  }

  private pushFlags(): void {
    const { c } = this;
    // Dirty, and writable here: then an entry may be written through.
    c.i32(ENTRY_WRITE).i32(0);
    c.get(this.kind).i32(WRITE).op('i32.eq');
    this.bits(PTE_D).op('i32.or').i32(0).op('i32.ne');
    c.get(this.rights).i32(PTE_RW).op('i32.and').i32(0).op('i32.ne');
    this.field('cr0').i32(CR0_WP).op('i32.and').get(this.user).op('i32.or').op('i32.eqz');
    c.op('i32.or').op('i32.and').op('select');
    c.i32(ENTRY_GLOBAL).i32(0);
    this.bits(PTE_G).i32(0).op('i32.ne');
    this.field('cr4').i32(CR4_PGE).op('i32.and').i32(0).op('i32.ne').op('i32.and').op('select');
    c.op('i32.or').get(this.shift).i32(ENTRY_SIZE_SHIFT).op('i32.shl').op('i32.or');
  }

  private leave(pushFlags: () => void): void {
    const { c } = this;
    pushFlags();
    c.op('i64.extend_i32_u').i64(32n).op('i64.shl').get(this.page).op('i64.or').op('return');
  }

  /** #PF with its error code. SDM 3A 4.7. */
  private raise(): void {
    const { c } = this;
    const set = (name: FieldName, push: () => void) => {
      c.i32(this.places.state);
      push();
      c.mem(FIELDS[name].bits === 64 ? 'i64.store' : 'i32.store', FIELDS[name].at);
    };
    const errorIf = (bit: number, push: () => void) => {
      c.i32(bit).i32(0);
      push();
      c.op('select').op('i32.or');
    };
    set('faultVector', () => c.i32(PF));
    set('faultHasError', () => c.i32(1));
    set('faultAddress', () => c.get(this.va));
    set('faultError', () => {
      c.get(this.cause);
      errorIf(PF_W, () => c.get(this.kind).i32(WRITE).op('i32.eq'));
      errorIf(PF_U, () => c.get(this.user));
      errorIf(PF_I, () => {
        // Without SMEP or XD a fetch cannot be refused.
        this.field('cr4').i32(CR4_SMEP).op('i32.and').i32(0).op('i32.ne');
        this.field('cr4').i32(CR4_PAE).op('i32.and').i32(0).op('i32.ne');
        this.field('efer').i32(EFER_NXE).op('i32.and').i32(0).op('i32.ne').op('i32.and');
        c.op('i32.or').get(this.kind).i32(FETCH).op('i32.eq').op('i32.and');
      });
    });
    c.i64(BigInt(WALK_FAULTED)).op('return');
  }

  /** Faults with `cause` if `push` leaves something. */
  private refuseIf(push: () => void, cause: number): void {
    const { c } = this;
    c.i32(cause).set(this.cause);
    push();
    c.brIf(this.faulted);
  }

  private unlessRam(gpa: number, otherwise: number): void {
    const { c } = this;
    c.get(gpa).i64(BigInt(this.places.ramBytes)).op('i64.ge_u').brIf(otherwise);
    this.pushAttributes(() => c.get(gpa).op('i32.wrap_i64'));
    c.i32(FRAME_MMIO).op('i32.and').brIf(otherwise);
  }

  /** Attributes of the frame of the guest-physical address that `push` leaves. */
  private pushAttributes(push: () => void): void {
    push();
    this.c.i32(12).op('i32.shr_u').mem('i32.load8_u', this.places.frameAttrs);
  }

  /** The same for an address in linear memory. */
  private pushAttributesAt(host: number): void {
    this.pushAttributes(() => this.c.get(host).i32(this.places.ramBase).op('i32.sub'));
  }

  private field(name: FieldName): Code {
    const { at, bits } = FIELDS[name];
    return this.c.i32(this.places.state).mem(bits === 64 ? 'i64.load' : 'i32.load', at);
  }

  /** Bits of the entry's low half. */
  private bits(mask: number): Code {
    return this.c.get(this.entry).op('i32.wrap_i64').i32(mask).op('i32.and');
  }
}
