// Known answers, worked out by hand from the SDM, for the reference and the table entries it runs.

import { describe, expect, test } from 'vitest';
import { AF, CF, OF, PF, SF, ZF } from './isa/build.ts';
import { Driver } from './testing/driver.ts';
import { referenceEngine } from './testing/engines.ts';
import { WORLD } from './testing/world.ts';

const DATA = WORLD.data.at;
const driver = (setup?: ConstructorParameters<typeof Driver>[1]) =>
  new Driver(referenceEngine, setup);

describe('integer arithmetic', () => {
  test('add al, 1 on 0x7f overflows and keeps the rest of rax', () => {
    const t = driver().set('rax', 0x1122334455667f7fn);
    expect(t.run('04 01')).toBe('ok');
    expect(t.get('rax')).toBe(0x1122334455667f80n);
    expect(t.flags).toBe(OF | SF | AF);
  });
  test('add ah, ah uses the second byte', () => {
    const t = driver().set('rax', 0x8011n);
    t.run('00 e4');
    expect(t.get('rax')).toBe(0x0011n);
    expect(t.flags).toBe(CF | OF | ZF | PF);
  });
  test('a 32-bit result clears the upper half', () => {
    const t = driver().set('rax', -1).set('rbx', 1);
    t.run('01 d8');
    expect(t.get('rax')).toBe(0n);
    expect(t.flags).toBe(CF | ZF | PF | AF);
  });
  test('adc rax, rbx adds the carry', () => {
    const t = driver().set('rax', -1).set('rbx', -1).setFlags(CF);
    t.run('48 11 d8');
    expect(t.get('rax')).toBe(0xffffffffffffffffn);
    expect(t.flags).toBe(CF | SF | PF | AF);
  });
  test('sbb eax, eax copies the carry into every bit', () => {
    const t = driver().set('rax', 5).setFlags(CF);
    t.run('19 c0');
    expect(t.get('rax')).toBe(0xffffffffn);
    expect(t.flags).toBe(CF | SF | PF | AF);
  });
  test('inc keeps the carry', () => {
    const t = driver().set('rax', 0xff).setFlags(CF);
    t.run('fe c0');
    expect(t.get('rax')).toBe(0n);
    expect(t.flags).toBe(CF | ZF | PF | AF);
  });
  test('imul sets carry and overflow when the product does not fit', () => {
    const t = driver().set('rax', 0x40000000).set('rbx', 4);
    t.run('0f af c3');
    expect(t.get('rax')).toBe(0n);
    expect(t.flags & (CF | OF)).toBe(CF | OF);
  });
  test('mul gives both halves of a 128-bit product', () => {
    const t = driver().set('rax', -1).set('rbx', -1);
    t.run('48 f7 e3');
    expect([t.get('rdx'), t.get('rax')]).toEqual([0xfffffffffffffffen, 1n]);
  });
  test('idiv truncates towards zero', () => {
    const t = driver().set('rax', -7).set('rdx', -1).set('rbx', 2);
    t.run('48 f7 fb');
    expect([t.get('rax'), t.get('rdx')]).toEqual([0xfffffffffffffffdn, 0xffffffffffffffffn]);
  });
  test('a quotient that does not fit is #DE and changes nothing', () => {
    const t = driver()
      .set('rax', 0)
      .set('rdx', 2)
      .set('rbx', 2)
      .setFlags(CF | OF);
    expect(t.run('f7 f3')).toEqual({ fault: 0, error: null });
    expect([t.get('rax'), t.get('rdx'), t.flags]).toEqual([0n, 2n, CF | OF]);
    expect(t.rip).toBe(BigInt(WORLD.code.at));
  });
});

describe('shifts and bits', () => {
  test('a shift by zero keeps all flags', () => {
    const t = driver()
      .set('rax', 0x80)
      .set('rcx', 0x20)
      .setFlags(CF | ZF | OF);
    t.run('d3 e0');
    expect([t.get('rax'), t.flags]).toEqual([0x80n, CF | ZF | OF]);
  });
  test('shl al, 1 moves the top bit into the carry', () => {
    const t = driver().set('rax', 0xc0);
    t.run('d0 e0');
    expect(t.get('rax')).toBe(0x80n);
    expect(t.flags & ~AF).toBe(CF | SF);
  });
  test('sar keeps the sign', () => {
    const t = driver().set('rax', 0x80000001);
    t.run('d1 f8');
    expect(t.get('rax')).toBe(0xc0000000n);
    expect(t.flags & ~AF).toBe(CF | SF | PF);
  });
  test('rcl al, 1 rotates through the carry', () => {
    const t = driver().set('rax', 0x40).setFlags(CF);
    t.run('d0 d0');
    expect(t.get('rax')).toBe(0x81n);
    expect(t.flags & (CF | OF)).toBe(OF);
  });
  test('bts with a register offset reaches memory far from its operand', () => {
    const t = driver()
      .set('rbx', DATA)
      .set('rax', 0x10003)
      .write(DATA + 0x2000, 8, 0);
    t.run('48 0f ab 03');
    expect(t.read(DATA + 0x2000, 8)).toBe(8n);
    expect(t.flags & CF).toBe(0);
  });
  test('bt with a negative offset looks below its operand', () => {
    const t = driver()
      .set('rbx', DATA + 8)
      .set('rax', -1)
      .write(DATA, 8, 1n << 63n);
    t.run('48 0f a3 03');
    expect(t.flags & CF).toBe(CF);
  });
  test('bsf of zero sets ZF and keeps its destination', () => {
    const t = driver().set('rax', 77).set('rbx', 0);
    t.run('48 0f bc c3');
    expect(t.get('rax')).toBe(77n);
    expect(t.flags & ZF).toBe(ZF);
  });
});

describe('memory', () => {
  test('xadd and cmpxchg exchange with memory', () => {
    const t = driver().set('rbx', DATA).set('rcx', 5).write(DATA, 8, 100);
    t.run('f0 48 0f c1 0b');
    expect([t.read(DATA, 8), t.get('rcx')]).toEqual([105n, 100n]);
    t.set('rax', 105).set('rdx', 9);
    t.run('f0 48 0f b1 13');
    expect([t.read(DATA, 8), t.flags & ZF]).toEqual([9n, ZF]);
    t.run('f0 48 0f b1 13');
    expect([t.get('rax'), t.flags & ZF]).toEqual([9n, 0]);
  });
  test('a write to a read-only page faults before any flag changes', () => {
    const t = driver().set('rbx', WORLD.readOnly.at).set('rax', 1).setFlags(SF);
    const before = t.read(WORLD.readOnly.at, 8);
    expect(t.run('48 01 03')).toEqual({ fault: 14, error: 3 });
    expect([t.read(WORLD.readOnly.at, 8), t.flags]).toEqual([before, SF]);
    expect(t.machine.state.get64('faultAddress')).toBe(BigInt(WORLD.readOnly.at));
  });
  test('a load across into an unmapped page faults with the address of that page', () => {
    const t = driver().set('rbx', WORLD.unmapped.at - 4);
    expect(t.run('48 8b 03')).toEqual({ fault: 14, error: 0 });
    expect(t.machine.state.get64('faultAddress')).toBe(BigInt(WORLD.unmapped.at));
  });
  test('user code may not read supervisor pages', () => {
    const t = driver('long-user').set('rbx', WORLD.supervisor.at);
    expect(t.run('48 8b 03')).toEqual({ fault: 14, error: 5 });
  });
  test('a non-canonical address is #GP, through the stack #SS', () => {
    const t = driver()
      .set('rbx', 1n << 47n)
      .set('rbp', 1n << 47n);
    expect(t.run('48 8b 03')).toEqual({ fault: 13, error: 0 });
    expect(t.run('48 8b 45 00')).toEqual({ fault: 12, error: 0 });
  });
  test('mmio goes to the border', () => {
    const t = driver().set('rbx', WORLD.mmio.at).set('rax', 0x12345678);
    expect(t.run('89 43 10')).toBe('ok');
    expect(t.machine.border.log).toEqual(['mmio write fee00010 4 12345678 0']);
  });
  test('an offset above the segment limit is #GP in real mode', () => {
    const t = driver('real').set('rbx', 0xffff);
    expect(t.run('8b 07')).toEqual({ fault: 13, error: 0 });
  });
});

describe('stack', () => {
  test('push and pop rsp', () => {
    const t = driver();
    const rsp = t.get('rsp');
    t.run('54');
    expect(t.read(Number(rsp) - 8, 8)).toBe(rsp);
    t.run('5c');
    expect(t.get('rsp')).toBe(rsp);
  });
  test('pop [rsp] computes its address after the increment', () => {
    const t = driver();
    const rsp = Number(t.get('rsp'));
    t.write(rsp, 8, 0x1234).write(rsp + 8, 8, 0);
    t.run('8f 04 24');
    expect(t.get('rsp')).toBe(BigInt(rsp + 8));
    expect(t.read(rsp + 8, 8)).toBe(0x1234n);
  });
  test('call pushes the next address, ret n releases arguments', () => {
    const t = driver();
    const rsp = t.get('rsp');
    t.load('e8 10 00 00 00').step();
    expect([t.rip, t.read(Number(rsp) - 8, 8)]).toEqual([0x10015n, 0x10005n]);
    t.machine.state.set64('rip', 0x10000n);
    t.load('c2 08 00').step();
    expect([t.rip, t.get('rsp')]).toEqual([0x10005n, rsp + 8n]);
  });
  test('enter with a level copies frame pointers, leave undoes it', () => {
    const t = driver().set('rbp', WORLD.stack.at + 0x3000);
    const rsp = t.get('rsp');
    t.write(WORLD.stack.at + 0x3000 - 8, 8, 0xabcd);
    t.run('c8 20 00 02');
    const frame = rsp - 8n;
    expect([t.get('rbp'), t.get('rsp')]).toEqual([frame, rsp - 24n - 0x20n]);
    expect([t.read(Number(rsp) - 16, 8), t.read(Number(rsp) - 24, 8)]).toEqual([0xabcdn, frame]);
    t.run('c9');
    expect([t.get('rbp'), t.get('rsp')]).toEqual([BigInt(WORLD.stack.at + 0x3000), rsp]);
  });
});

describe('strings and control', () => {
  test('rep movsb moves one byte a step and ends with rcx zero', () => {
    const t = driver()
      .set('rsi', DATA)
      .set('rdi', DATA + 0x100)
      .set('rcx', 3);
    t.write(DATA, 4, 0x44332211).write(DATA + 0x100, 4, 0);
    t.load('f3 a4');
    t.step();
    expect([t.rip, t.get('rcx'), t.get('rsi')]).toEqual([0x10000n, 2n, BigInt(DATA + 1)]);
    expect(t.run('f3 a4')).toBe('ok');
    expect([t.get('rcx'), t.get('rdi'), t.read(DATA + 0x100, 4)]).toEqual([
      0n,
      BigInt(DATA + 0x103),
      0x332211n,
    ]);
  });
  test('rep stosd that runs into a fault keeps the finished iterations', () => {
    const t = driver()
      .set('rdi', WORLD.unmapped.at + 2 * 4096 - 8)
      .set('rcx', 4)
      .set('rax', 7);
    t.machine.state.set('eflags', 0x602); // Backwards.
    t.set('rdi', WORLD.afterUnmapped.at + 4);
    expect(t.run('f3 ab')).toEqual({ fault: 14, error: 2 });
    expect([t.get('rcx'), t.get('rdi')]).toEqual([2n, BigInt(WORLD.afterUnmapped.at - 4)]);
  });
  test('repne scasb stops behind the match', () => {
    const t = driver().set('rdi', DATA).set('rcx', 10).set('rax', 0);
    t.write(DATA, 4, 0x00616263);
    expect(t.run('f2 ae')).toBe('ok');
    expect([t.get('rdi'), t.get('rcx'), t.flags & ZF]).toEqual([BigInt(DATA + 4), 6n, ZF]);
  });
  test('jumps, loop and setcc', () => {
    const t = driver().setFlags(ZF).set('rcx', 2);
    t.load('74 7f').step();
    expect(t.rip).toBe(0x10081n);
    t.load('e2 fe').step();
    expect([t.rip, t.get('rcx')]).toEqual([0x10000n, 1n]);
    t.step();
    expect([t.rip, t.get('rcx')]).toEqual([0x10002n, 0n]);
    t.run('0f 94 c0');
    expect(t.get('rax') & 0xffn).toBe(1n);
  });
  test('a jump in 32-bit code with a 16-bit operand size truncates', () => {
    const t = driver('protected').load('66 e9 00 10');
    t.step();
    expect(t.rip).toBe(0x1004n);
  });
  test('privileged instructions are #GP(0) in user code', () => {
    expect(driver('long-user').run('f4')).toEqual({ fault: 13, error: 0 });
  });
  test('an instruction may cross into the next page', () => {
    const t = driver();
    t.machine.views.u8.set([0x05, 1, 0, 0, 0], t.machine.layout.ramBase + 0x10ffe);
    t.machine.state.set64('rip', 0x10ffen);
    t.set('rax', 1).step();
    expect([t.rip, t.get('rax')]).toEqual([0x11003n, 2n]);
  });
});

describe('vectors', () => {
  test('paddb adds bytes without carries between them', () => {
    const t = driver().setXmm(0, 0xff01n).setXmm(1, 0x0101n);
    t.run('66 0f fc c1');
    expect(t.xmm(0)).toBe(0x0002n);
  });
  test('movaps from an address that is not aligned is #GP(0)', () => {
    const t = driver().set('rbx', DATA + 8);
    expect(t.run('0f 28 03')).toEqual({ fault: 13, error: 0 });
    expect(t.run('0f 10 03')).toBe('ok');
  });
  test('addsd adds the low doubles and keeps the high one', () => {
    const t = driver()
      .setXmm(0, (5n << 64n) | 0x3ff0000000000000n)
      .setXmm(1, 0x4000000000000000n);
    t.run('f2 0f 58 c1');
    expect(t.xmm(0)).toBe((5n << 64n) | 0x4008000000000000n);
  });
});
