// System instructions from their bytes: decoded, recorded, and run by the reference on a small machine.

import { beforeEach, describe, expect, it } from 'vitest';
import { CR4_FSGSBASE, CR4_UMIP } from '../control-bits.ts';
import { FEATURE_BITS } from '../cpuid-features.ts';
import { decode } from '../decode.ts';
import { programOf } from '../program.ts';
import { executeOne } from '../reference.ts';
import { slowPath } from '../slow/registry.ts';
import { forms } from '../table.ts';
import {
  CODE3,
  DATA0,
  DATA3,
  enterRing3,
  loadTables,
  setSeg,
  TSS_SELECTOR,
} from '../testing/descriptor-tables.ts';
import { enablePaging, map, P, PS, U, W } from '../testing/page-tables.ts';
import { type SmallMachine, smallMachine } from '../testing/small-machine.ts';

let m: SmallMachine;

beforeEach(() => {
  m = smallMachine(4 << 20);
  enablePaging(m, '4-level');
  map(m, '4-level', 0, P | W | U | PS, 2);
  loadTables(m, true);
});

/** Runs one instruction of 64-bit code; 'done', or the fault. */
function run(hex: string): string {
  const bytes = Uint8Array.from(hex.split(' ').map((text) => Number.parseInt(text, 16)));
  const d = decode(bytes, 0, bytes.length, 64);
  if ('failure' in d) return d.failure;
  m.insn.osize = d.variant.osize;
  m.insn.asize = d.variant.asize;
  m.insn.length = d.length;
  return executeOne(m.cx, d, programOf(d)) ? m.fault() : 'done';
}

describe('system instructions', () => {
  it('MOV reads and writes control registers, CR8 through REX.R', () => {
    m.state.setGpr(0, 7n);
    expect(run('44 0f 22 c0')).toBe('done');
    expect(m.state.get('cr8')).toBe(7);
    expect(run('0f 20 db')).toBe('done');
    expect(m.state.gpr(3)).toBe(0x10000n);
  });

  it.each(['0f 20 db', '0f 06', 'f4', '0f 32', '0f 01 f8', '0f 09', '0f 07', '0f 00 d8'])(
    '%s is refused outside ring 0',
    (hex) => {
      enterRing3(m, true);
      expect(run(hex)).toBe('#13(0)');
    },
  );

  it('MOV takes selectors to and from segment registers, never to CS', () => {
    m.state.setGpr(0, BigInt(DATA3));
    expect(run('8e d8')).toBe('done');
    expect(run('8c db')).toBe('done');
    expect(m.state.gpr(3)).toBe(BigInt(DATA3));
    expect(run('8e c8')).toBe('undefined');
  });

  it('STR stores the selector, unless UMIP hides it', () => {
    expect(run('0f 00 c9')).toBe('done');
    expect(m.state.gpr(1)).toBe(BigInt(TSS_SELECTOR));
    m.state.set('cr4', m.state.get('cr4') | CR4_UMIP);
    enterRing3(m, true);
    expect(run('0f 00 c9')).toBe('#13(0)');
  });

  it('CLI and STI obey IOPL', () => {
    expect([run('fb'), m.state.get('eflags')]).toEqual(['done', 0x202]);
    expect([run('fa'), m.state.get('eflags')]).toEqual(['done', 2]);
    enterRing3(m, true);
    expect(run('fa')).toBe('#13(0)');
    expect(run('fb')).toBe('#13(0)');
    m.state.set('eflags', 0x3002);
    expect([run('fb'), m.state.get('eflags')]).toEqual(['done', 0x3202]);
  });

  it('WRFSBASE and RDFSBASE need CR4.FSGSBASE and a canonical base', () => {
    expect(run('f3 48 0f ae d0')).toBe('#6');
    m.state.set('cr4', m.state.get('cr4') | CR4_FSGSBASE);
    m.state.setGpr(0, 0xffff_8000_0000_1000n);
    expect(run('f3 48 0f ae d0')).toBe('done');
    expect(run('f3 48 0f ae c3')).toBe('done');
    expect(m.state.gpr(3)).toBe(0xffff_8000_0000_1000n);
    m.state.setGpr(0, 0x8000_0000_0000n);
    expect(run('f3 48 0f ae d0')).toBe('#13(0)');
  });

  it('LAR writes nothing and clears ZF for a selector outside the table', () => {
    m.state.setGpr(0, 0x1000n);
    m.state.setGpr(3, 0xdead_beef_0000_0001n);
    expect(run('0f 02 d8')).toBe('done');
    expect(m.state.gpr(3)).toBe(0xdead_beef_0000_0001n);
    m.state.setGpr(0, BigInt(DATA0));
    run('0f 02 d8');
    expect(m.state.gpr(3)).toBe(0xc09300n);
  });

  it('OUT and IN name port and size', () => {
    m.state.setGpr(0, 0x11223344n);
    m.state.setGpr(2, 0xcf8n);
    run('e6 80');
    run('ef');
    run('66 ed');
    expect(m.log).toEqual(['out 80/1=44', 'out cf8/4=11223344', 'in cf8/2']);
    expect(m.state.gpr(0)).toBe(0x11225678n);
  });

  it('REP OUTS stays until RCX is 0, and does nothing when it is', () => {
    m.state.setGpr(1, 2n);
    m.state.setGpr(2, 0n);
    m.state.setGpr(6, 0x6000n);
    m.write32(0x6000, 0x4241);
    const rip = m.state.get64('rip');
    run('f3 6e');
    expect(m.state.get64('rip')).toBe(rip);
    run('f3 6e');
    run('f3 6e');
    expect(m.state.get64('rip')).toBe(rip + 4n);
    expect(m.log).toEqual(['out 0/1=41', 'out 0/1=42']);
  });

  it('STAC outside ring 0 is undefined', () => {
    enterRing3(m, true);
    expect(run('0f 01 cb')).toBe('#6');
  });

  it('LSS loads SS and the register together', () => {
    m.write32(0x6000, 0x1234, DATA0);
    m.state.setGpr(0, 0x6000n);
    setSeg(m, 2, 0, 0xc093);
    expect(run('0f b2 18')).toBe('done');
    expect([m.state.gpr(3), m.state.seg(2, 16)]).toEqual([0x1234n, DATA0]);
    expect(m.state.get('shadow')).toBe(2);
    m.write32(0x6004, CODE3);
    expect(run('0f b2 18')).toBe(`#13(${CODE3 & ~3})`);
  });
});

describe('the table', () => {
  it('calls only slow paths that exist', () => {
    const names = ['enter', 'popf', 'iret', 'int', 'far_jump', 'far_call', 'far_return'];
    for (const name of names) expect(slowPath(name).name).toBe(name);
  });

  it('needs only features that cpuid-features knows', () => {
    const unknown = forms
      .map((f) => f.form.needs)
      .filter((name) => name !== undefined && !(name in FEATURE_BITS));
    expect([...new Set(unknown)]).toEqual([]);
  });
});
