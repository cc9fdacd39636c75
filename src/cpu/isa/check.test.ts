// Tests of the structural rules: every form in every variant, and programs that break each rule.

import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { programOf } from '../program.ts';
import { instructions } from '../table.ts';
import { forEveryForm } from '../testing/cases.ts';
import { Build } from './build.ts';
import { checkProgram } from './check.ts';
import type { Form, Insn, Operand } from './define.ts';
import type { Program, Variant } from './ir.ts';

type Size = 16 | 32 | 64;

const here = new URL('.', import.meta.url);
const files = readdirSync(here).filter((f) => /^[a-z0-9-]+\.ts$/.test(f));

async function insnsOf(file: string): Promise<Insn[]> {
  const exports: Readonly<Record<string, unknown>> = await import(new URL(file, here).href);
  return Object.values(exports).filter(
    (thing): thing is Insn => typeof thing === 'object' && thing !== null && 'sem' in thing,
  );
}

const INTEGER = [
  'arith',
  'bcd',
  'bits',
  'control',
  'flags',
  'logic',
  'move',
  'multiply',
  'shift',
  'stack',
  'string',
];

function variantsOf(form: Form): Variant[] {
  const variants: Variant[] = [];
  for (const mode of [16, 32, 64] as const) {
    if (form.only === '64' && mode !== 64) continue;
    if (form.only === 'no64' && mode === 64) continue;
    for (const osize of operandSizes(form, mode)) {
      for (const asize of mode === 64 ? ([32, 64] as const) : ([16, 32] as const)) {
        for (const rep of form.rep ? (['none', 'rep', 'repne'] as const) : (['none'] as const)) {
          for (const cc of form.op.includes('+cc') ? [0, 5, 15] : [-1]) {
            const plain: Variant = { osize, asize, mode, rep, lock: false, cc };
            variants.push(plain);
            if (mode !== 64) variants.push({ ...plain, stack: mode === 16 ? 32 : 16 });
            if (form.asksSpBase) variants.push({ ...plain, spBase: true });
            if (form.near) variants.push({ ...plain, limited: true });
          }
        }
      }
    }
  }
  return variants;
}

function operandSizes(form: Form, mode: Size): readonly Size[] {
  if (mode !== 64) return [16, 32];
  if (form.size64 === 'f64') return [64];
  return form.size64 === 'd64' ? [16, 64] : [16, 32, 64];
}

/** Operands as the decoder binds them, once with a register and once with memory behind ModRM. */
function bind(form: Form, v: Variant, memory: boolean): Operand[] {
  let immediates = 0;
  return form.args
    .split(',')
    .filter((code) => code !== '')
    .map((code, slot): Operand => {
      const size = sizeOf(code, v);
      const letter = code[0] as string;
      if (code === '1') return { kind: 'imm', size: 8, n: 0, fixed: 1 };
      if (/^[ECSDFG]S$/.test(code)) {
        return { kind: 'reg', file: 'seg', size: 16, slot: -1, fixed: 'ECSDFG'.indexOf(letter) };
      }
      if (/^(e?[A-D]X|[A-D]L)$/.test(code)) {
        const name = code.replace('e', '')[0] as string;
        return { kind: 'reg', file: 'gpr', size, slot: -1, fixed: 'ACDB'.indexOf(name) };
      }
      if ('IJA'.includes(letter)) return { kind: 'imm', size, n: immediates++ };
      if ('MOXY'.includes(letter) || (letter === 'E' && memory)) return { kind: 'mem', size };
      return { kind: 'reg', file: 'gpr', size, slot };
    });
}

function sizeOf(code: string, v: Variant): number {
  if (/^[A-D]L$/.test(code)) return 8;
  if (/^e[A-D]X$/.test(code)) return v.osize;
  switch (code.slice(1)) {
    case 'b':
      return 8;
    case 'w':
      return 16;
    case 'd':
      return 32;
    case 'q':
      return 64;
    case 'z':
      return Math.min(v.osize, 32);
    case 'y':
      return Math.max(v.osize, 32);
    case 'v':
      return v.osize;
    default:
      return 0;
  }
}

function programs(insn: Insn): { what: string; program: Program }[] {
  return insn.forms.flatMap((form) =>
    variantsOf(form).flatMap((variant) => {
      const kinds = /E/.test(form.args) ? [false, true] : [true];
      return kinds.map((memory) => {
        const b = new Build(variant);
        insn.sem(b, ...bind(form, variant, memory));
        const what = `${insn.name} ${form.op} ${form.args} ${JSON.stringify(variant)} ${memory}`;
        return { what, program: b.finish() };
      });
    }),
  );
}

describe('the integer instruction families', () => {
  it.each(INTEGER)('%s: every form in every variant records a sound program', async (family) => {
    const insns = await insnsOf(`${family}.ts`);
    expect(insns.length).toBeGreaterThan(1);
    const broken = insns.flatMap(programs).flatMap(({ what, program }) => {
      return checkProgram(program).map((fault) => `${what}: ${fault}`);
    });
    expect(broken).toEqual([]);
  });

  it('gives every opcode pattern to one form only', async () => {
    const insns = (await Promise.all(INTEGER.map((f) => insnsOf(`${f}.ts`)))).flat();
    const seen = new Map<string, string>();
    const twice: string[] = [];
    for (const insn of insns) {
      for (const form of insn.forms) {
        const key = `${form.op} ${form.only ?? ''}`;
        if (seen.has(key)) twice.push(`${key}: ${seen.get(key)} and ${insn.name}`);
        seen.set(key, insn.name);
      }
    }
    expect(twice).toEqual([]);
  });

  it('has no two exports of one name among its files', async () => {
    expect(files).toContain('arith.ts');
    const names = (await Promise.all(INTEGER.map((f) => insnsOf(`${f}.ts`)))).flat();
    const unique = new Set(names.map((insn) => insn.name));
    expect(unique.size).toBe(names.length);
  });
});

describe('the whole instruction table', () => {
  it('records sound programs for random encodings of every form', () => {
    const broken = new Map<string, string>();
    forEveryForm(instructions, { seed: 1, perForm: 3 }, ({ d, insn }) => {
      if (broken.has(d.key)) return;
      const [first] = checkProgram(programOf(d));
      if (first) broken.set(d.key, `${insn.name} ${d.form.op} ${d.form.args}: ${first}`);
    });
    expect([...new Set(broken.values())]).toEqual([]);
  });
});

describe('checkProgram', () => {
  const variant: Variant = { osize: 32, asize: 32, mode: 32, rep: 'none', lock: false, cc: -1 };
  const check = (record: (b: Build) => void) => {
    const b = new Build(variant);
    record(b);
    return checkProgram(b.finish());
  };

  it('refuses a load after a register was written', () => {
    const faults = check((b) => {
      b.setReg('rax', b.const(32, 1));
      b.setReg('rbx', b.load(3, b.const(64, 0), 32));
    });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain('may fault');
  });

  it('refuses a second store that nothing has probed', () => {
    const store = (b: Build, at: number) => b.store(3, b.const(64, at), b.const(8, 0));
    const faults = check((b) => {
      store(b, 0);
      store(b, 1);
    });
    expect(faults).toHaveLength(1);
  });

  it('accepts a second store whose address was probed', () => {
    const faults = check((b) => {
      const second = b.const(64, 1);
      b.probeWrite(3, second, 1);
      b.store(3, b.const(64, 0), b.const(8, 0));
      b.store(3, second, b.const(8, 0));
    });
    expect(faults).toEqual([]);
  });

  it('refuses a read of a register after a write', () => {
    const faults = check((b) => {
      b.setReg('rax', b.const(32, 1));
      b.setReg('rbx', b.reg('rax', 32));
    });
    expect(faults).toHaveLength(1);
  });

  it('refuses nodes after a jump', () => {
    const faults = check((b) => {
      b.jump(b.const(32, 0));
      b.setReg('rax', b.const(32, 0));
    });
    expect(faults).toHaveLength(1);
  });

  it('refuses a value used before it is computed', () => {
    const other = new Build(variant);
    for (let n = 0; n < 5; n++) other.const(32, n);
    const foreign = other.const(32, 9);
    expect(check((b) => b.setReg('rax', foreign))).toHaveLength(1);
  });
});
