// FXSAVE, XSAVE and the control registers of x87 and SSE: layouts, reserved bits and faults.

import { describe, expect, test } from 'vitest';
import { recomputeFpuFaults } from '../fpu-fault.ts';
import { Driver } from '../testing/driver.ts';
import { referenceEngine } from '../testing/engines.ts';
import { WORLD } from '../testing/world.ts';

const DATA = WORLD.data.at;
const CR0_EM = 4;
const CR0_TS = 8;

type Change = (state: Driver['machine']['state']) => void;

function driver(change: Change = () => undefined): Driver {
  const t = new Driver(referenceEngine, 'long');
  change(t.machine.state);
  recomputeFpuFaults(t.machine.state);
  return t.set('rsi', BigInt(DATA));
}
const withCr0 = (bits: number): Driver => driver((s) => s.set('cr0', s.get('cr0') | bits));

describe('checks before floating-point instructions', () => {
  test('CR0.TS gives #NM for SSE, MMX and x87', () => {
    for (const code of ['0f 58 c1', '0f fc c1', 'd9 e8', '0f ae 06'])
      expect(withCr0(CR0_TS).run(code)).toEqual({ fault: 7, error: null });
  });
  test('CR0.EM gives #UD for SSE and MMX and #NM for x87', () => {
    expect(withCr0(CR0_EM).run('0f 58 c1')).toEqual({ fault: 6, error: null });
    expect(withCr0(CR0_EM).run('0f fc c1')).toEqual({ fault: 6, error: null });
    expect(withCr0(CR0_EM).run('d9 e8')).toEqual({ fault: 7, error: null });
  });
  test('FWAIT honours TS only together with MP', () => {
    const alone = driver((s) => s.set('cr0', (s.get('cr0') | CR0_TS) & ~2));
    expect(alone.run('9b')).toBe('ok');
    expect(withCr0(CR0_TS | 2).run('9b')).toEqual({ fault: 7, error: null });
  });
  test('an unmasked x87 exception waits for the next waiting instruction', () => {
    const t = driver((s) => s.set('fcw', 0x37b));
    for (const code of ['d9 e8', 'd9 ee', 'de f9', 'dd 3e']) expect(t.run(code)).toBe('ok');
    expect(t.machine.state.get('fsw') & 0x8084).toBe(0x8084);
    expect(t.run('d9 e8')).toEqual({ fault: 16, error: null });
    expect(t.run('db e2')).toBe('ok');
    expect(t.run('d9 e8')).toBe('ok');
  });
});

describe('saved state', () => {
  test('FXSAVE and FXRSTOR carry registers and control words there and back', () => {
    const t = driver();
    for (const code of ['db e3', 'd9 eb', '66 48 0f 6e c6', '0f ae 06', 'db e3', '66 0f ef c0'])
      expect(t.run(code)).toBe('ok');
    expect(t.run('0f ae 0e')).toBe('ok');
    expect(t.run('66 48 0f 7e c0')).toBe('ok');
    expect(t.get('rax')).toBe(BigInt(DATA));
    expect(t.run('db 3e')).toBe('ok'); // fstp: pi.
    expect(t.run('48 8b 06')).toBe('ok');
    expect(t.get('rax')).toBe(0xc90fdaa22168c235n);
  });
  test('a misaligned image is #GP(0), reserved MXCSR bits too', () => {
    const t = driver().set('rsi', BigInt(DATA + 8));
    expect(t.run('0f ae 06')).toEqual({ fault: 13, error: 0 });
    expect(t.run('c7 06 00 00 01 00')).toBe('ok');
    expect(t.run('0f ae 16')).toEqual({ fault: 13, error: 0 });
  });
  test('XSAVE needs OSXSAVE and writes which components are in use', () => {
    expect(driver().run('0f ae 26')).toEqual({ fault: 6, error: null });
    const t = driver((s) => {
      s.set('cr4', s.get('cr4') | (1 << 18));
      s.set('xcr0', 3);
    });
    t.set('rax', 3n).set('rdx', 0n);
    for (const code of ['48 c7 86 00 02 00 00 00 00 00 00', 'db e3', 'd9 e8', '0f ae 26'])
      expect(t.run(code)).toBe('ok');
    t.run('48 8b 9e 00 02 00 00');
    expect(t.get('rbx') & 1n).toBe(1n);
    for (const code of ['48 c7 86 08 02 00 00 00 00 00 00', '48 c7 86 10 02 00 00 00 00 00 00'])
      t.run(code);
    expect(t.run('db e3')).toBe('ok');
    expect(t.run('0f ae 2e')).toBe('ok');
    expect(t.machine.state.get('ftw')).toBe(0x80);
  });
  test('an MMX write marks all registers valid and EMMS empties them', () => {
    const t = driver();
    t.run('db e3');
    expect(t.run('48 0f 6e c6')).toBe('ok');
    expect(t.machine.state.get('ftw')).toBe(0xff);
    expect(t.run('0f 77')).toBe('ok');
    expect(t.machine.state.get('ftw')).toBe(0);
  });
});

describe('approximations', () => {
  test('rcpss and rsqrtss are within 1.5 * 2^-12', () => {
    const view = new DataView(new ArrayBuffer(4));
    const run = (code: string, x: number): number => {
      view.setFloat32(0, x);
      const t = driver().set('rax', BigInt(view.getUint32(0)));
      for (const c of ['66 0f 6e c8', code, '66 0f 7e c3']) expect(t.run(c)).toBe('ok');
      view.setUint32(0, Number(t.get('rbx') & 0xffffffffn));
      return view.getFloat32(0);
    };
    for (let n = 1; n < 60; n++) {
      const x = Math.fround(n * 0.37 + n ** 7 * 1e-5);
      expect(Math.abs(run('f3 0f 53 c1', x) * x - 1)).toBeLessThan(1.5 / 4096);
      expect(Math.abs(run('f3 0f 52 c1', x) * Math.sqrt(x) - 1)).toBeLessThan(1.5 / 4096);
    }
  });
});
