// Which accesses of a block share a check.

import { expect, it } from 'vitest';
import { Assembler } from '../asm.ts';
import { decode } from '../decode.ts';
import { jitForm } from './forms.ts';
import { mergedChecks, type PlannedInsn } from './merged-checks.ts';

/** The checks that the accesses share: how many, which bytes from the first register on, for writing or not. */
function checks(text: string): string[] {
  const bytes = new Assembler(64, 0).text(text).finish();
  const insns: PlannedInsn[] = [];
  for (let at = 0; at < bytes.length; ) {
    const d = decode(bytes, at, bytes.length, 64);
    if ('failure' in d) throw new Error(d.failure);
    const { program, skips, repeats } = jitForm(d);
    insns.push({ d, program, offset: at, conditional: skips || repeats });
    at += d.length;
  }
  const groups = new Set(
    mergedChecks(insns, 64, true).flatMap((members) => (members ?? []).map((m) => m.group)),
  );
  return [...groups].map((g) => `${g.count} of ${g.lo}..${g.hi} ${g.writes ? 'w' : 'r'}`);
}

it('what is near an unchanged register shares a check, one for writing if any of it writes', () => {
  expect(checks('mov rax, [rdi]; mov ecx, [rdi+0x10]')).toEqual(['2 of 0..20 r']);
  expect(checks('mov rax, [rdi]; mov rcx, [rsi]; mov [rdi+8], rcx')).toEqual(['2 of 0..16 w']);
  expect(checks('mov rax, [rdi]; mov ecx, [rdi+0x100]')).toEqual([]);
});

it('a register that moves by a constant, or is copied, is still known', () => {
  expect(checks('push rbx; push rcx; mov rbp, rsp; mov [rbp+8], rax')).toEqual(['3 of -16..0 w']);
  expect(checks('mov rax, [rdi+rsi*4]; inc rsi; mov rcx, [rdi+rsi*4]')).toEqual(['2 of 0..12 r']);
});

it('another value is another address, and so is one after a slow path or under a condition', () => {
  expect(checks('mov rax, [rdi]; mov rdi, [rdi+8]; mov rcx, [rdi]')).toEqual(['2 of 0..16 r']);
  expect(checks('mov rax, [rdi]; mov edi, edi; mov rcx, [rdi]')).toEqual([]);
  expect(checks('mov rax, [rdi]; clac; mov rcx, [rdi]')).toEqual([]);
  expect(checks('mov rax, [rdi]; rep movsb; mov rcx, [rdi]')).toEqual([]);
});

it('segments with a base of their own are places of their own', () => {
  expect(checks('mov rax, gs:[rdi]; mov rcx, [rdi]; mov rdx, ds:[rdi+8]')).toEqual([
    '2 of 0..16 r',
  ]);
});
