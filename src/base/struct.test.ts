// Tests of structure layouts against sizes and offsets known from C headers.

import { describe, expect, expectTypeOf, it } from 'vitest';
import { BugError } from './errors.ts';
import { type Pair, struct } from './struct.ts';

// arch/x86/include/asm/pvclock-abi.h
const pvclock = struct(
  'pvclock_vcpu_time_info',
  {
    version: 'u32',
    pad0: 'u32',
    tsc_timestamp: 'u64',
    system_time: 'u64',
    tsc_to_system_mul: 'u32',
    tsc_shift: 's8',
    flags: 'u8',
    pad: 'u8[2]',
  },
  { size: 32 },
);

// xen/include/public/arch-x86/hvm/start_info.h
const hvmStartInfo = struct(
  'hvm_start_info',
  {
    magic: 'u32',
    version: 'u32',
    flags: 'u32',
    nr_modules: 'u32',
    modlist_paddr: 'u64',
    cmdline_paddr: 'u64',
    rsdp_paddr: 'u64',
    memmap_paddr: 'u64',
    memmap_entries: 'u32',
    reserved: 'u32',
  },
  { size: 56 },
);

const view = (bytes: number) => new DataView(new ArrayBuffer(bytes));

describe('layout', () => {
  it('places the fields of pvclock_vcpu_time_info where the header does', () => {
    expect(pvclock.offsetOf('version')).toBe(0);
    expect(pvclock.offsetOf('tsc_timestamp')).toBe(8);
    expect(pvclock.offsetOf('system_time')).toBe(16);
    expect(pvclock.offsetOf('tsc_to_system_mul')).toBe(24);
    expect(pvclock.offsetOf('tsc_shift')).toBe(28);
    expect(pvclock.offsetOf('flags')).toBe(29);
  });

  it('places the fields of hvm_start_info where the header does', () => {
    expect(hvmStartInfo.offsetOf('modlist_paddr')).toBe(16);
    expect(hvmStartInfo.offsetOf('memmap_paddr')).toBe(40);
    expect(hvmStartInfo.offsetOf('memmap_entries')).toBe(48);
  });

  it('pads for alignment between fields and at the end', () => {
    const s = struct('s', { a: 'u8', b: 'u64', c: 'u16' }, { size: 24 });
    expect([s.offsetOf('b'), s.offsetOf('c'), s.align]).toEqual([8, 16, 8]);
  });

  it('aligns 64-bit fields to 4 bytes on i386 and to nothing when packed', () => {
    const i386 = struct('s', { a: 'u8', b: 'u64' }, { size: 12, abi: 'i386' });
    const packed = struct('s', { a: 'u8', b: 'u64' }, { size: 9, packed: true });
    expect([i386.offsetOf('b'), packed.offsetOf('b')]).toEqual([4, 1]);
  });

  it('aligns an array like its element and a nested structure like its widest field', () => {
    const inner = struct('inner', { x: 'u8', y: 'u32' }, { size: 8 });
    const outer = struct('outer', { a: 'u8', b: 'u16[3]', c: 'u8', d: inner }, { size: 20 });
    expect([outer.offsetOf('b'), outer.offsetOf('c'), outer.offsetOf('d')]).toEqual([2, 8, 12]);
  });

  it('takes explicit offsets for a structure of which only some fields matter', () => {
    const bootParams = struct(
      'boot_params',
      { e820_entries: { type: 'u8', at: 0x1e8 }, boot_flag: { type: 'u16', at: 0x1fe } },
      { size: 4096 },
    );
    const v = view(4096);
    v.setUint16(0x1fe, 0xaa55, true);
    expect(bootParams.read(v, 0)).toEqual({ e820_entries: 0, boot_flag: 0xaa55 });
  });

  it('is refused when the declared size is not the size in C', () => {
    expect(() => struct('s', { a: 'u32', b: 'u8' }, { size: 5 })).toThrow(
      'struct s: declared as 5 bytes, but its fields take 8',
    );
    expect(() => struct('s', { a: { type: 'u32', at: 4 } }, { size: 7 })).toThrow(BugError);
  });

  it('is refused when a field has no C name, no known type or no possible place', () => {
    expect(() => struct('s', { '0': 'u8' }, { size: 1 })).toThrow("'0' is not a C field name");
    expect(() => struct('s', { a: 'u8[0]' }, { size: 0 })).toThrow('is not a field type');
    expect(() => struct('s', { a: 'u24' as 'u8' }, { size: 3 })).toThrow('is not a field type');
    expect(() => struct('s', { a: { type: 'u8', at: -1 } }, { size: 3 })).toThrow('cannot be at');
  });
});

describe('read', () => {
  it('gives every field in little-endian order with the type it was declared with', () => {
    const v = view(40);
    v.setUint32(8, 6, true);
    v.setUint32(16, 0x89abcdef, true);
    v.setUint32(20, 0x1f, true);
    v.setUint32(32, 0xdeadbeef, true);
    v.setInt8(36, -1);
    expect(pvclock.read(v, 8)).toEqual({
      version: 6,
      pad0: 0,
      tsc_timestamp: 0x1f_89abcdef,
      system_time: 0,
      tsc_to_system_mul: 0xdeadbeef,
      tsc_shift: -1,
      flags: 0,
      pad: [0, 0],
    });
    expectTypeOf(pvclock.read(v, 8)?.pad).toEqualTypeOf<number[] | undefined>();
    expectTypeOf(pvclock.read(v, 8)?.version).toEqualTypeOf<number | undefined>();
  });

  it('gives null when the structure leaves the view', () => {
    const v = view(40);
    expect(pvclock.read(v, 8)).not.toBeNull();
    for (const at of [9, 40, -1, 0.5, Number.NaN, 2 ** 53]) expect(pvclock.read(v, at)).toBeNull();
  });

  it('gives null for a u64 of 2^53 or more, and its exact value just below', () => {
    const s = struct('s', { a: 'u64' }, { size: 8 });
    const v = view(8);
    v.setBigUint64(0, 2n ** 53n, true);
    expect(s.read(v, 0)).toBeNull();
    v.setBigUint64(0, 2n ** 53n - 1n, true);
    expect(s.read(v, 0)).toEqual({ a: Number.MAX_SAFE_INTEGER });
  });

  it('gives null when an array element or a nested field is a u64 that does not fit', () => {
    const inner = struct('inner', { a: 'u64' }, { size: 8 });
    const outer = struct('outer', { list: 'u64[2]', inner }, { size: 24 });
    for (const at of [8, 16]) {
      const v = view(24);
      v.setUint8(at + 7, 0x80);
      expect(outer.read(v, 0)).toBeNull();
    }
  });

  it('gives canonical addresses as signed numbers and any 64 bits as a pair', () => {
    const s = struct('s', { rip: 's64', pte: 'u64pair' }, { size: 16 });
    const v = view(16);
    v.setBigUint64(0, 0xffff_ffff_8100_0000n, true);
    v.setBigUint64(8, 0x8000_0000_dead_b067n, true);
    expect(s.read(v, 0)).toEqual({ rip: -0x7f00_0000, pte: { lo: 0xdead_b067, hi: 0x8000_0000 } });
    expectTypeOf(s.read(v, 0)?.pte).toEqualTypeOf<Pair | undefined>();
  });
});

describe('write', () => {
  it('writes the named fields and leaves every other byte alone', () => {
    const v = view(32);
    new Uint8Array(v.buffer).fill(0xee);
    expect(pvclock.write(v, 0, { version: 2, tsc_shift: -3, pad: [1, 2] })).toBe(true);
    const bytes = [...new Uint8Array(v.buffer)];
    expect(bytes.slice(0, 5)).toEqual([2, 0, 0, 0, 0xee]);
    expect(bytes.slice(27)).toEqual([0xee, 0xfd, 0xee, 1, 2]);
  });

  it('is undone by read for the extreme values of each type', () => {
    const s = struct(
      's',
      { a: 'u64', b: 's64', c: 's64', d: 'u64pair', e: 's16', f: 's32', g: 'u16', h: 'u8[2]' },
      { size: 48 },
    );
    const value = {
      a: Number.MAX_SAFE_INTEGER,
      b: Number.MIN_SAFE_INTEGER,
      c: -1,
      d: { lo: 0xffff_ffff, hi: 1 },
      e: -0x8000,
      f: -0x8000_0000,
      g: 0xffff,
      h: [0, 255],
    };
    const v = view(48);
    s.write(v, 0, value);
    expect(s.read(v, 0)).toEqual(value);
    expect(v.getBigInt64(16, true)).toBe(-1n);
  });

  it('writes a nested structure whole', () => {
    const inner = struct('inner', { x: 'u8', y: 'u32' }, { size: 8 });
    const outer = struct('outer', { a: 'u8', inner }, { size: 12 });
    const v = view(12);
    outer.write(v, 0, { inner: { x: 1, y: 2 } });
    expect(outer.read(v, 0)).toEqual({ a: 0, inner: { x: 1, y: 2 } });
    expect(() => outer.write(v, 0, { inner: { x: 1 } as never })).toThrow('inner cannot hold');
  });

  it('gives false and writes nothing when the structure leaves the view', () => {
    const v = view(32);
    expect(pvclock.write(v, 1, { version: 1 })).toBe(false);
    expect(new Uint8Array(v.buffer).every((byte) => byte === 0)).toBe(true);
  });

  it('refuses a value its field cannot hold before any byte changes', () => {
    const v = view(32);
    const bad = [{ flags: 256 }, { tsc_shift: 128 }, { system_time: 2 ** 53 }, { version: 1.5 }];
    for (const patch of [...bad, { version: -1 }, { pad: [1] }, { pad: [1, 2, 3] }]) {
      expect(() => pvclock.write(v, 0, { pad0: 7, ...patch })).toThrow(BugError);
    }
    expect(() => pvclock.write(v, 0, { nope: 1 } as never)).toThrow('has no field nope');
    expect(new Uint8Array(v.buffer).every((byte) => byte === 0)).toBe(true);
  });
});
