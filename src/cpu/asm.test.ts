// Tests of the assembler: encodings known from the SDM, labels, and the sentences of its refusals.

import { describe, expect, test } from 'vitest';
import { Assembler, assemble, mem, reg, short } from './asm.ts';

type Mode = 16 | 32 | 64;
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const asm = (text: string, mode: Mode = 64): string => hexOf(assemble(mode, text));

describe('one line of text', () => {
  const known: readonly (readonly [string, string, Mode?])[] = [
    ['mov rax, rbx', '4889d8'],
    ['mov eax, 0x1', 'b801000000'],
    ['mov rax, -1', '48c7c0ffffffff'],
    ['mov rax, 0x123456789abcdef0', '48b8f0debc9a78563412'],
    ['add eax, 0x7f', '83c07f'],
    ['add eax, 0x80', '0580000000'],
    ['add cl, 0xff', '80c1ff'],
    ['mov dword ptr [rbp], 0x1', 'c7450001000000'],
    ['mov al, byte ptr [r13]', '418a4500'],
    ['mov al, byte ptr [r12]', '418a0424'],
    ['mov ax, word ptr [bx+si+0x10]', '8b4010', 16],
    ['mov ax, word ptr [si+bx]', '8b00', 16],
    ['lea rcx, [rax+rsp]', '488d0c04'],
    ['lea rcx, [rdx*8]', '488d0cd500000000'],
    ['lock cmpxchg qword ptr gs:[rdi], rsi', '65f0480fb137'],
    ['rep movsq', 'f348a5'],
    ['repne scasb', 'f2ae'],
    ['a32 stosd', '67ab'],
    ['push 0x7f', '6a7f'],
    ['push fs', '0fa0'],
    ['jne 0x10', '750e'],
    ['jnz 0x1000', '0f85fa0f0000'],
    ['jecxz 0x10', '67e30d'],
    ['call rax', 'ffd0'],
    ['iretq', '48cf'],
    ['mov cr3, rax', '0f22d8'],
    ['movq xmm1, rax', '66480f6ec8'],
    ['pshufd xmm1, xmm2, 0x1b', '660f70ca1b'],
    ['jmpf 0x10:0x12345678', 'ea785634121000', 32],
    ['shl byte ptr [eax], 1', 'd020', 32],
    ['int 0x80', 'cd80'],
    ['wrmsr', '0f30'],
    ['out dx, al', 'ee'],
  ];
  for (const [text, expected, mode] of known) {
    test(`${text} is ${expected}`, () => {
      expect(asm(text, mode)).toBe(expected);
    });
  }

  const refused: readonly (readonly [string, string])[] = [
    ['moo eax, 1', 'asm/unknown-mnemonic'],
    ['mov eax, rbx', 'asm/no-form'],
    ['mov al, 0x100', 'asm/no-form'],
    ['mov ah, r8b', 'asm/no-form'],
    ['lock mov dword ptr [rax], ebx', 'asm/no-form'],
    ['inc [rax]', 'asm/ambiguous-size'],
    ['mov eax, nowhere', 'asm/bad-operand'],
    ['mov eax, dword ptr [rax+rbx+rcx]', 'asm/bad-operand'],
    ['mov eax, [rsp*2]', 'asm/no-form'],
    ['', 'asm/unknown-mnemonic'],
  ];
  test.each(refused)('%s is refused as %s', (text, code) => {
    expect(() => asm(text)).toThrow(expect.objectContaining({ code }));
  });
});

describe('a program', () => {
  test('jumps back are short where they can be, jumps forward near unless asked', () => {
    const a = new Assembler(64);
    const [top, end] = [a.label('top'), a.label('end')];
    a.bind(top).insn('jmp', end).insn('jmp', short(end)).insn('jmp', top).bind(end);
    expect(hexOf(a.finish())).toBe('e904000000eb02ebf7');
  });

  test('a label in memory is relative to RIP in 64-bit code and absolute in 32-bit code', () => {
    for (const [mode, expected] of [
      [64, '8b0501000000c311'],
      [32, 'a106001000c311'],
    ] as const) {
      const a = new Assembler(mode, 0x100000);
      const data = a.label('data');
      a.insn('mov', 'eax', mem({ label: data, size: 32 }))
        .insn('ret')
        .bind(data)
        .bytes(0x11);
      expect(hexOf(a.finish())).toBe(expected);
    }
  });

  test('a label as an immediate is its address', () => {
    const a = new Assembler(32, 0x1000);
    a.text('mov esp, stack; push stack; stack:').dd(a.label('stack'));
    expect(hexOf(a.finish())).toBe('bc0a100000680a1000000a100000');
  });

  test('modes may change on the way', () => {
    const a = new Assembler(16, 0x8000);
    a.insn('cli')
      .use(32)
      .insn('mov', 'eax', 1)
      .use(64)
      .insn('mov', reg('rax'), mem({ base: 'rbx', disp: 8, size: 64 }));
    expect(hexOf(a.finish())).toBe('fab801000000488b4308');
  });

  test('alignment counts from the origin', () => {
    const a = new Assembler(64, 0x1001);
    a.align(4, 0x90).dq(-1n);
    expect(hexOf(a.finish())).toBe('909090ffffffffffffffff');
  });

  test('a label that is never bound, or too far for its field, is refused', () => {
    const unbound = new Assembler(64);
    unbound.insn('jmp', unbound.label('nowhere'));
    expect(() => unbound.finish()).toThrow(expect.objectContaining({ code: 'asm/unbound-label' }));
    const far = new Assembler(64);
    const end = far.label('end');
    far.insn('jmp', short(end)).bytes(new Uint8Array(200)).bind(end);
    expect(() => far.finish()).toThrow(expect.objectContaining({ code: 'asm/out-of-range' }));
    expect(() => far.bind(end)).toThrow(expect.objectContaining({ code: 'asm/label-bound-twice' }));
  });
});
