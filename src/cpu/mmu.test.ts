// The MMU around the walk: TLB entries, devices, page crossings, frames that hold code or are watched.

import { beforeEach, describe, expect, it } from 'vitest';
import { CR4_PGE } from './control-bits.ts';
import { FRAME_CODE, FRAME_DIRTY, FRAME_WATCH } from './frames.ts';
import { DATA_TLB_STRIDE, dataTlbIndex, SCRATCH_AT } from './state.ts';
import { D, enablePaging, entryAt, map, P, PS, W } from './testing/page-tables.ts';
import { type SmallMachine, smallMachine } from './testing/small-machine.ts';

const VA = 0x402000;
const FRAME = 0x30000;

let m: SmallMachine;
let scratch: number;

beforeEach(() => {
  m = smallMachine(4 << 20);
  enablePaging(m, '4-level');
  map(m, '4-level', VA, BigInt(FRAME) | P | W);
  map(m, '4-level', VA + 0x1000, 0x50000n | P | W);
  map(m, '4-level', VA + 0x2000, 0xfee00000n | P | W);
  scratch = m.state.base + SCRATCH_AT;
});

/** Tags and addend of the current data TLB's entry for `va`. */
function entry(va: number) {
  const at = m.state.get('dataTlb') + dataTlbIndex(va) * DATA_TLB_STRIDE;
  const { i64, u32, i32 } = m.state.views;
  return {
    read: i64[at >> 3],
    write: i64[(at >> 3) + 1],
    addend: i32[(at >> 2) + 4] as number,
    frame: u32[(at >> 2) + 5],
  };
}

const attrOf = (frame: number) => m.state.views.u8[m.layout.frameAttrs + frame] as number;

describe('TLB entries', () => {
  it('a read enters the page for reading, with the addend that leads to RAM', () => {
    const at = m.mmu.loadSlow(VA + 8, 4, 0);
    const e = entry(VA);
    expect(e.read).toBe(BigInt(VA));
    expect(e.write).toBe(1n);
    expect((VA + 8 + e.addend) >>> 0).toBe(at);
    expect(attrOf(FRAME >> 12) & FRAME_DIRTY).toBe(0);
  });

  it('a write opens the page for writing and marks its frame dirty', () => {
    m.mmu.rmwSlow(VA, 4, 0);
    expect(entry(VA).write).toBe(BigInt(VA));
    expect(attrOf(FRAME >> 12) & FRAME_DIRTY).toBe(FRAME_DIRTY);
  });

  it('a read opens a page whose D flag and frame are dirty already', () => {
    m.mmu.rmwSlow(VA, 4, 0);
    m.mmu.flushAll();
    m.mmu.loadSlow(VA, 4, 0);
    expect(entry(VA).write).toBe(BigInt(VA));
  });

  it('outlive the page-table entry until they are flushed', () => {
    m.mmu.loadSlow(VA, 4, 0);
    m.write64(entryAt('4-level', VA, 3), 0n);
    expect(m.mmu.loadSlow(VA, 4, 0)).not.toBe(0);
    m.mmu.flushPage(VA + 0x123);
    expect(m.mmu.loadSlow(VA, 4, 0)).toBe(0);
  });

  it('of a large page go together when any address of it is flushed', () => {
    const large = 0x800000;
    map(m, '4-level', large, 0x200000n | P | W | PS | D, 2);
    const parts = [large, large + 0x5000, large + 0x1ff000];
    for (const va of parts) expect(m.mmu.loadSlow(va, 4, 0)).not.toBe(0);
    m.write64(entryAt('4-level', large, 2), 0n);
    m.mmu.flushPage(large + 0x9000);
    for (const va of parts) expect(m.mmu.loadSlow(va, 4, 0)).toBe(0);
  });

  it('are dropped by a page flush even if global', () => {
    m.state.set('cr4', m.state.get('cr4') | CR4_PGE);
    map(m, '4-level', VA, BigInt(FRAME) | P | W | 0x100n);
    m.mmu.loadSlow(VA, 4, 0);
    m.mmu.flushNonGlobal();
    expect(entry(VA).read).toBe(BigInt(VA));
    m.mmu.flushPage(VA);
    expect(entry(VA).read).toBe(1n);
  });

  it('of code are kept apart from those of data', () => {
    expect(m.mmu.fetch(VA + 5)).toBe(FRAME + 5);
    expect(entry(VA).read).toBe(1n);
    m.write64(entryAt('4-level', VA, 3), 0n);
    expect(m.mmu.fetch(VA + 6)).toBe(FRAME + 6);
    m.mmu.flushNonGlobal();
    expect(m.mmu.fetch(VA)).toBe(-1);
  });

  it('are found again after a snapshot was copied in', () => {
    m.mmu.loadSlow(VA, 4, 0);
    m.mmu.restored();
    m.mmu.flushAll();
    expect(entry(VA).read).toBe(1n);
  });

  it('survive flushes that follow drops, and fill again', () => {
    for (let n = 0; n < 3; n++) {
      expect(m.mmu.loadSlow(VA, 4, 0)).not.toBe(0);
      m.mmu.flushPage(VA);
      expect(entry(VA).read).toBe(1n);
      m.mmu.flushNonGlobal();
    }
  });
});

describe('devices', () => {
  it('are read through SCRATCH and never entered', () => {
    expect(m.mmu.loadSlow(VA + 0x2010, 4, 0)).toBe(scratch);
    expect(m.state.views.u32[scratch >> 2]).toBe(0x33221100);
    expect(m.log).toEqual(['read fee00010/4']);
    expect(entry(VA + 0x2000).read).toBe(1n);
  });

  it('are written from SCRATCH', () => {
    m.state.views.u32.set([0xaabbccdd, 0x11], scratch >> 2);
    expect(m.mmu.storeSlow(VA + 0x2010, 8, 0)).toBe(0);
    expect(m.log).toEqual(['write fee00010/8=11:aabbccdd']);
  });

  it('own the hole at 0xa0000', () => {
    map(m, '4-level', VA, 0xb8000n | P | W);
    expect(m.mmu.loadSlow(VA, 2, 0)).toBe(scratch);
    expect(m.log).toEqual(['read b8000/2']);
  });

  it('see 16 bytes as two of 8', () => {
    m.mmu.loadSlow(VA + 0x2010, 16, 0);
    expect(m.log).toEqual(['read fee00010/8', 'read fee00018/8']);
  });

  it('are touched only when the engine may act', () => {
    m.engine.mayActNow = false;
    expect(m.mmu.loadSlow(VA + 0x2010, 4, 0)).toBe(0);
    expect(m.mmu.storeSlow(VA + 0x2010, 4, 0)).toBe(1);
    expect(m.mmu.probeSlow(VA + 0x2010, 4, 0)).toBe(1);
    expect(m.log).toEqual(['restart', 'restart', 'restart']);
  });
});

describe('page crossings', () => {
  it('are gathered from both pages and scattered again', () => {
    m.write32(FRAME + 0xffc, 0x04030201);
    m.write32(0x50000, 0x08070605);
    expect(m.mmu.loadSlow(VA + 0xffd, 4, 0)).toBe(scratch);
    expect(m.state.views.u32[scratch >> 2]).toBe(0x05040302);
    m.state.views.u32[scratch >> 2] = 0xddccbbaa;
    expect(m.mmu.storeSlow(VA + 0xffd, 4, 0)).toBe(0);
    expect(m.read32(FRAME + 0xffc)).toBe(0xccbbaa01);
    expect(m.read32(0x50000)).toBe(0x080706dd);
  });

  it('write nothing when the second page faults, and blame its first byte', () => {
    m.write64(entryAt('4-level', VA + 0x1000, 3), 0n);
    m.state.views.u32[scratch >> 2] = 0xffffffff;
    expect(m.mmu.storeSlow(VA + 0xffe, 4, 0)).toBe(1);
    expect(m.fault()).toBe('#14(2)');
    expect(m.state.getVa('faultAddress')).toBe(VA + 0x1000);
    expect(m.read32(FRAME + 0xffc)).toBe(0);
  });

  it('wrap at 4 GiB outside 64-bit code', () => {
    const flat = smallMachine();
    flat.write32(0, 0xddccbbaa);
    expect(flat.mmu.loadSlow(0xfffffffe, 4, 0)).toBe(flat.state.base + SCRATCH_AT);
    expect(flat.log).toEqual(['read fffffffe/2']);
    expect(flat.state.views.u32[(flat.state.base + SCRATCH_AT) >> 2]).toBe(0xbbaa1100);
  });
});

describe('frames with decoded code', () => {
  beforeEach(() => {
    m.mmu.rmwSlow(VA, 4, 0);
    m.mmu.setFrame(FRAME >> 12, FRAME_CODE);
  });

  it('lose the write tags that they had, but not what the entries allow', () => {
    expect(entry(VA).write).toBe(1n);
    expect(entry(VA).read).toBe(BigInt(VA));
    m.write64(entryAt('4-level', VA, 3), 0n);
    expect(m.mmu.storeSlow(VA, 4, 0)).toBe(0);
  });

  it('take a store and tell the engine', () => {
    m.state.views.u32[scratch >> 2] = 0x12345678;
    expect(m.mmu.storeSlow(VA + 4, 4, 0)).toBe(0);
    expect(m.read32(FRAME + 4)).toBe(0x12345678);
    expect(m.log).toEqual(['code 30004+4']);
    expect(entry(VA).write).toBe(1n);
  });

  it('restart the engine, without a trace, when it may not act', () => {
    m.engine.mayActNow = false;
    m.state.views.u32[scratch >> 2] = 0x12345678;
    expect(m.mmu.storeSlow(VA + 4, 4, 0)).toBe(1);
    expect(m.read32(FRAME + 4)).toBe(0);
    expect(m.log).toEqual(['restart']);
  });

  it('take stores beside the code at once', () => {
    m.engine.mayActNow = false;
    m.engine.hasCode = false;
    expect(m.mmu.storeSlow(VA + 4, 4, 0)).toBe(0);
    expect(m.mmu.rmwSlow(VA + 4, 4, 0)).toBe(m.layout.ramBase + FRAME + 4);
    expect(m.log).toEqual([]);
  });

  it('make a read-modify-write go through SCRATCH', () => {
    m.write32(FRAME + 4, 77);
    expect(m.mmu.rmwSlow(VA + 4, 4, 0)).toBe(scratch);
    expect(m.state.views.u32[scratch >> 2]).toBe(77);
  });

  it('open again when the code is gone', () => {
    m.mmu.clearFrame(FRAME >> 12, FRAME_CODE);
    m.mmu.storeSlow(VA, 4, 0);
    expect(entry(VA).write).toBe(BigInt(VA));
  });
});

describe('watched frames', () => {
  it('report each store and never get a write tag', () => {
    m.mmu.setFrame(FRAME >> 12, FRAME_WATCH);
    m.mmu.storeSlow(VA + 8, 8, 0);
    m.mmu.storeSlow(VA + 8, 8, 0);
    expect(m.log).toEqual(['watched 30008+8', 'watched 30008+8']);
    expect(entry(VA).write).toBe(1n);
  });
});

describe('slow-path accesses', () => {
  it('move up to a page through the buffer', () => {
    m.mmu.buf.setUint32(0, 0xcafe, true);
    m.mmu.buf.setUint32(4092, 0xbeef, true);
    expect(m.mmu.write(VA + 0x800, 4096, 'current')).toBe(true);
    expect(m.read32(FRAME + 0x800)).toBe(0xcafe);
    expect(m.read32(0x50000 + 0x7fc)).toBe(0xbeef);
    m.mmu.buf.setUint32(0, 0, true);
    expect(m.mmu.read(VA + 0x800, 4, 'system')).toBe(true);
    expect(m.mmu.buf.getUint32(0, true)).toBe(0xcafe);
  });

  it('a system access from ring 3 is a supervisor access', () => {
    m.state.set('cpl', 3);
    m.cx.modeChanged();
    expect(m.mmu.read(VA, 8, 'current')).toBe(false);
    expect(m.fault()).toBe('#14(5)');
    expect(m.mmu.read(VA, 8, 'system')).toBe(true);
  });
});
