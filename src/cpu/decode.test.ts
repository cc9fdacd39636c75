// Tests of the decoder's rules; tests/decoder compares it with iced over the whole table.

import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import type { Decoded } from './decoded.ts';
import { disasm } from './disasm.ts';

type Mode = 16 | 32 | 64;

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(hex.replaceAll(' ', '').match(/../g) ?? [], (b) => Number.parseInt(b, 16));

function decoded(hex: string, mode: Mode = 64): Decoded {
  const bytes = bytesOf(hex);
  const d = decode(bytes, 0, bytes.length, mode);
  if ('failure' in d) throw new Error(`${hex} is ${d.failure}`);
  return d;
}

function failure(hex: string, mode: Mode = 64): string {
  const bytes = bytesOf(hex);
  const d = decode(bytes, 0, bytes.length, mode);
  return 'failure' in d ? d.failure : disasm(d, 0);
}

describe('prefixes', () => {
  test('sixteen bytes are too long, fifteen are not', () => {
    expect(failure(`${'66 '.repeat(14)}90`)).toBe('o16 nop');
    expect(failure(`${'66 '.repeat(15)}90`)).toBe('too-long');
    expect(failure(`${'66 '.repeat(12)}05 00000000`)).toBe('add ax, 0x0');
    expect(failure(`${'66 '.repeat(13)}05 00000000`)).toBe('too-long');
  });

  test('bytes that end early are truncated, not undefined', () => {
    for (const hex of [
      '',
      '48',
      '0f',
      '0f38',
      '8b',
      '8b04',
      '8b80 0000',
      'b8 000000',
      '48b8 00000000',
    ])
      expect(failure(hex), hex).toBe('truncated');
  });

  test('only bytes below `end` are read, and decoding starts at `at`', () => {
    const bytes = bytesOf('90 b8 01000000');
    expect(decode(bytes, 1, 5, 64)).toEqual({ failure: 'truncated' });
    expect(decode(bytes, 1, 6, 64)).toMatchObject({ length: 5, immLo: [1, 0] });
  });

  test('REX counts only right before the opcode', () => {
    expect(disasm(decoded('48 66 89c8'), 0)).toBe('mov ax, cx');
    expect(disasm(decoded('66 48 89c8'), 0)).toBe('mov rax, rcx');
    expect(disasm(decoded('48 40 89c8'), 0)).toBe('mov eax, ecx');
  });

  test('F2 and F3 win over 66, the last of both counts', () => {
    expect(decoded('66 f3 0f10c1').form.op).toBe('F3 0f 10 /r');
    expect(decoded('f3 66 0f10c1').form.op).toBe('F3 0f 10 /r');
    expect(decoded('f3 f2 0f10c1').form.op).toBe('F2 0f 10 /r');
    expect(decoded('66 0f10c1').form.op).toBe('66 0f 10 /r');
  });

  test('LOCK needs a form that allows it and a memory destination', () => {
    expect(failure('f0 0118')).toBe('lock add dword ptr [rax], ebx');
    expect(failure('f0 01d8')).toBe('undefined');
    expect(failure('f0 0318')).toBe('undefined');
    expect(failure('f0 90')).toBe('undefined');
  });

  test('90 is nop, pause after F3, xchg with REX.B', () => {
    expect(failure('90')).toBe('nop');
    expect(failure('f390')).toBe('pause');
    expect(failure('4990')).toBe('xchg r8, rax');
    expect(failure('4190')).toBe('xchg r8d, eax');
  });

  test('REP is part of string instructions and ignored elsewhere', () => {
    expect(decoded('f3a4').variant.rep).toBe('rep');
    expect(decoded('f2a4').variant.rep).toBe('rep');
    expect(decoded('f2a6').variant.rep).toBe('repne');
    expect(decoded('f3c3').variant.rep).toBe('none');
  });
});

describe('addresses', () => {
  test('the segment is SS for rSP and rBP bases, DS otherwise', () => {
    expect(decoded('8b0424').segment).toBe(2);
    expect(decoded('8b4500').segment).toBe(2);
    expect(decoded('418b4500').segment).toBe(3);
    expect(decoded('8b42 08', 16).segment).toBe(2);
    expect(decoded('8b00').segment).toBe(3);
    expect(decoded('8b046d 00000000', 32).segment).toBe(3);
  });

  test('64-bit code ignores ES CS SS DS overrides, and obeys FS and GS', () => {
    expect(decoded('2e 8b00').segment).toBe(3);
    expect(decoded('3e 8b0424').segment).toBe(2);
    expect(decoded('65 2e 8b00').segment).toBe(5);
    expect(decoded('2e 8b00', 32).segment).toBe(1);
  });

  test('mod 0 with rm 5 is RIP-relative in 64-bit code only', () => {
    expect(decoded('8b05 10000000')).toMatchObject({ ripRelative: true, base: -1, disp: 16 });
    expect(decoded('8b05 10000000', 32)).toMatchObject({ ripRelative: false, base: -1, disp: 16 });
    expect(decoded('8b0425 f0ffffff')).toMatchObject({ ripRelative: false, disp: -16, dispHi: -1 });
  });

  test('the stack pointer is no index, r12 is', () => {
    expect(decoded('8b0420').index).toBe(-1);
    expect(decoded('428b0420')).toMatchObject({ base: 0, index: 12 });
  });

  test('16-bit forms have their fixed pairs of registers', () => {
    expect(disasm(decoded('8b00', 16), 0)).toBe('mov ax, word ptr [bx+si]');
    expect(disasm(decoded('8b43 fe', 16), 0)).toBe('mov ax, word ptr [bp+di-0x2]');
    expect(disasm(decoded('8b06 3412', 16), 0)).toBe('mov ax, word ptr [0x1234]');
    expect(disasm(decoded('67 8b06 3412', 32), 0)).toBe('a16 mov eax, dword ptr [0x1234]');
  });

  test('moffs has the width of addresses', () => {
    expect(decoded('a1 8877665544332211')).toMatchObject({
      disp: 0x55667788,
      dispHi: 0x11223344,
      hasMem: true,
    });
    expect(decoded('67 a1 f0ffffff')).toMatchObject({ disp: -16, dispHi: 0, length: 6 });
    expect(decoded('a1 f0ff', 16)).toMatchObject({ disp: 0xfff0, dispHi: 0, length: 3 });
  });
});

describe('operands', () => {
  test('byte registers 4..7 are AH..BH without REX, SPL..DIL with it', () => {
    expect(decoded('88e0').regs).toEqual([0, 16]);
    expect(decoded('4088e0').regs).toEqual([0, 4]);
    expect(disasm(decoded('4088e0'), 0)).toBe('mov al, spl');
  });

  test('immediates are sign-extended to 64 bits', () => {
    expect(decoded('4883c0 ff')).toMatchObject({ immLo: [-1, 0], immHi: [-1, 0] });
    expect(decoded('4805 000000 80')).toMatchObject({ immLo: [-0x80000000, 0], immHi: [-1, 0] });
    expect(decoded('48b8 efcdab8967452301')).toMatchObject({
      immLo: [0x89abcdef | 0, 0],
      immHi: [0x01234567, 0],
    });
    expect(decoded('c8 3412 ff', 32)).toMatchObject({ immLo: [0x1234, -1], immHi: [0, -1] });
  });

  test('stack operations and near branches have 64-bit operands in 64-bit code', () => {
    expect(decoded('50').variant.osize).toBe(64);
    expect(decoded('6650').variant.osize).toBe(16);
    // As AMD's processors do: APM 3 JMP (Near).
    expect(decoded('66e9 0000')).toMatchObject({ length: 4, variant: { osize: 16 } });
    expect(decoded('6648e9 00000000')).toMatchObject({ length: 7, variant: { osize: 64 } });
    expect(decoded('66e9 0000', 32)).toMatchObject({ length: 4, variant: { osize: 16 } });
  });

  test('MOV to and from control registers ignores mod and knows only real registers', () => {
    expect(disasm(decoded('0f20c0'), 0)).toBe('mov rax, cr0');
    expect(disasm(decoded('0f2000'), 0)).toBe('mov rax, cr0');
    expect(disasm(decoded('440f20c0'), 0)).toBe('mov rax, cr8');
    expect(failure('0f20c8')).toBe('undefined');
    expect(failure('440f21c0')).toBe('undefined');
  });

  test('CS cannot be loaded, and segment registers end at GS', () => {
    expect(failure('8ec8')).toBe('undefined');
    expect(failure('8cc8')).toBe('mov eax, cs');
    expect(failure('8ef0')).toBe('undefined');
  });
});

describe('sharing', () => {
  test('equal forms and prefixes share key, variant and operands, whatever their registers', () => {
    const [a, b] = [decoded('4801c8'), decoded('4d01fa')];
    expect(a.key).toBe(b.key);
    expect(a.variant).toBe(b.variant);
    expect(a.operands).toBe(b.operands);
  });

  test('whatever the meaning can see is in the key', () => {
    const keys = [
      '01c8',
      '0108',
      '6601c8',
      '4801c8',
      '670108',
      'f00108',
      '0f84 00000000',
      '0f85 00000000',
      'a4',
      'f3a4',
    ];
    const all = keys
      .map((hex) => decoded(hex).key)
      .concat(decoded('01c8', 32).key, decoded('01c8', 16).key);
    expect(new Set(all).size).toBe(all.length);
  });

  test('pop to memory knows whether its base is rSP', () => {
    expect(decoded('8f0424').variant.spBase).toBe(true);
    expect(decoded('8f00').variant.spBase).toBe(false);
    expect(decoded('8f0424').key).not.toBe(decoded('8f00').key);
  });
});

test('instructions of the other modes are undefined', () => {
  for (const hex of ['06', '27', '60', '9a 000000000000', 'c4 00', '62 00', 'd6'])
    expect(failure(hex), hex).toBe('undefined');
  expect(failure('c400', 32)).not.toBe('undefined');
  expect(failure('0f05', 64)).toBe('syscall');
});
