// CPUID against the instruction table, both ways, and the leaves that describe XSAVE.

import { describe, expect, it } from 'vitest';
import { cpuidLeaf, DEFAULT_MODEL } from './cpuid.ts';
import { IMPLEMENTED } from './cpuid-features.ts';
import { decode } from './decode.ts';
import { instructions } from './table.ts';

const needed = new Set(
  instructions.flatMap((insn) => insn.forms.flatMap(({ needs }) => (needs ? [needs] : []))),
);

/** Features whose instructions are the 80386's, or that are not about instructions at all. */
const WITHOUT_FORMS = new Set([
  'de',
  'pse',
  'pae',
  'mtrr',
  'pge',
  'pat',
  'pse36',
  'pcid',
  'tsc_adjust',
  'smep',
  'umip',
  'erms',
  'fsrm',
  'nx',
  'pdpe1gb',
  'constant_tsc',
  'xsaveerptr',
  'ssb_no',
  'lfence_rdtsc',
  'null_sel_clr_base',
  'autoibrs',
  'srso_no',
  'tsa_sq_no',
  'tsa_l1_no',
]);
/** One instruction of each feature whose forms say nothing of it. */
const BY_ENCODING: Readonly<Record<string, string>> = {
  xgetbv1: '0f01d0',
  '3dnowprefetch': '0f0d08',
};

const decodes = (hex: string) => {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  return !('failure' in decode(bytes, 0, bytes.length, 64));
};

function leaf(number: number, subleaf = 0): number[] {
  const out = new Uint32Array(4);
  cpuidLeaf(DEFAULT_MODEL, number, subleaf, out);
  return [...out];
}

describe('CPUID and the table', () => {
  it('agree: every feature that a form needs is offered', () => {
    expect([...needed].filter((name) => !IMPLEMENTED.some((f) => f === name))).toEqual([]);
  });

  it('agree: every offered feature has its forms', () => {
    const missing = IMPLEMENTED.filter((name) => !needed.has(name) && !WITHOUT_FORMS.has(name));
    expect(missing.filter((name) => !decodes(BY_ENCODING[name] ?? '06'))).toEqual([]);
  });

  it.each([
    ['monitor', '0f01c8'],
    ['mwait', '0f01c9'],
    ['vaddps', 'c5e858c1'],
    ['andn', 'c4e278f2c1'],
    ['aesenc', '660f38dcc1'],
    ['pclmulqdq', '660f3a44c100'],
    ['sha1rnds4', '0f3accc100'],
    ['rdpkru', '0f01ee'],
    ['xsaves', '0fc728'],
    ['xrstors', '0fc718'],
    ['extrq', '660f79c1'],
    ['vmload', '0f01da'],
    ['clzero', '0f01fc'],
    ['monitorx', '0f01fa'],
    ['getsec', '0f37'],
    ['umonitor', 'f30faef0'],
    ['movdir64b', '660f38f801'],
  ])('%s, which is not offered, is no instruction', (_name, hex) => {
    expect(decodes(hex)).toBe(false);
  });
});

describe('the XSAVE leaves', () => {
  it('give x87 and SSE and the size of legacy area and header', () => {
    expect(leaf(0xd, 0)).toEqual([3, 576, 576, 0]);
    // XSAVEOPT, XSAVEC, XGETBV with ECX = 1; no XSAVES.
    expect(leaf(0xd, 1)).toEqual([7, 576, 0, 0]);
    expect(leaf(0xd, 2)).toEqual([0, 0, 0, 0]);
  });
});
