// The WebAssembly modules of translated regions, and their text for golden tests and docs.

import { bug } from '../../base/errors.ts';
import type { LowerOptions } from '../lower/lower.ts';
import type { Helpers } from '../lower/site.ts';
import { X87_QUICK } from '../lower/x87-module.ts';
import { FIELDS, GPR_AT, SEG_AT, SEG_STRIDE, XMM_AT } from '../state.ts';
import { ModuleBuilder, type ValType } from '../wasm/encode.ts';
import { compileRegion, type RegionSpec } from './region.ts';

/** A module that exports its regions as `r0`, `r1` ... */
export function regionsModule(specs: readonly RegionSpec[], options: LowerOptions): Uint8Array {
  const m = new ModuleBuilder();
  const helpers = new UsedHelpers(m);
  m.importMemory('e', 'memory', 1);
  const type = m.type(['i32', 'i32'], ['i64']);
  const bodies = specs.map((spec) => compileRegion(spec, helpers, options).body());
  bodies.forEach((body, i) => {
    m.addFunction(type, body, `r${i}`);
  });
  return m.encode();
}

/** Imports a helper when code first asks for it: V8 compiles a wrapper for each that a module imports, used or not. */
class UsedHelpers implements Helpers {
  private readonly m: ModuleBuilder;
  private readonly indexes = new Map<string, number>();

  constructor(m: ModuleBuilder) {
    this.m = m;
  }

  get load(): number {
    return bug('translated code has no slow accesses');
  }

  get rmw(): number {
    return this.load;
  }

  get store(): number {
    return this.load;
  }

  get probe(): number {
    return this.load;
  }

  get slow(): number {
    return this.of('slow', ['i32']);
  }

  get segment(): number {
    return this.of('segment', ['i32', 'i32', 'i32', 'i32']);
  }

  get x87(): number {
    return this.of('x87', X87_QUICK);
  }

  get flags(): number {
    return this.of('flags', ['i32']);
  }

  /** By function index, for the text. */
  names(): Map<number, string> {
    return new Map([...this.indexes].map(([name, index]) => [index, name] as const));
  }

  private of(name: string, params: readonly ValType[]): number {
    let index = this.indexes.get(name);
    if (index === undefined) {
      index = this.m.importFunction('e', name, params, ['i32']);
      this.indexes.set(name, index);
    }
    return index;
  }
}

/** What a region became. `slowName` gives back the name behind a slow path's number. */
export function regionText(
  spec: RegionSpec,
  options: LowerOptions,
  slowName: (id: number) => string,
): string {
  const helpers = new UsedHelpers(new ModuleBuilder());
  const code = compileRegion({ ...spec, withText: true }, helpers, options);
  const names = new Map([
    [0, 'st'],
    [1, 'entry'],
    [2, 'tlb'],
  ]);
  return format(code.text ?? [], names, helpers.names(), slowName);
}

/** These end a line of text: the stack is empty behind them, or control moves. */
const ENDS_LINE =
  /^(local\.set|br|br_if|if|else|end|block|loop|return|unreachable|\S+\.store\S*)( |$)/;

function format(
  lines: readonly string[],
  names: ReadonlyMap<number, string>,
  calls: ReadonlyMap<number, string>,
  slowName: (id: number) => string,
): string {
  const out: string[] = [];
  let depth = 0;
  let line: string[] = [];
  const flush = () => {
    if (line.length > 0) out.push('  '.repeat(depth) + line.join('; '));
    line = [];
  };
  lines.forEach((op, i) => {
    const opens = /^(block|loop|if)( |$)/.test(op);
    if (op === 'end' || op === 'else') {
      flush();
      depth--;
    }
    if (op.startsWith(';;')) {
      flush();
      out.push('  '.repeat(depth) + op);
      return;
    }
    // A store's address is what its line begins with, a load's is just before it.
    const address = op.includes('store') ? line[0] : lines[i - 1];
    const fromState = address === 'local.get 0' || address === 'get st';
    const text = symbolic(op, lines[i - 1] ?? '', fromState, names, calls, slowName);
    if (text.startsWith('call slow')) line.pop(); // The slow path's number, which its name stands for.
    line.push(text);
    if (ENDS_LINE.test(op)) flush();
    if (opens || op === 'else') depth++;
  });
  flush();
  return `${out.join('\n')}\n`;
}

function symbolic(
  op: string,
  before: string,
  fromState: boolean,
  names: ReadonlyMap<number, string>,
  calls: ReadonlyMap<number, string>,
  slowName: (id: number) => string,
): string {
  const [name = '', operand = ''] = op.split(' ');
  const n = Number(operand);
  if (name.startsWith('local.')) return `${name.slice(6)} ${names.get(n) ?? `t${n}`}`;
  if (name === 'call') {
    const callee = calls.get(n) ?? operand;
    return callee === 'slow'
      ? `call slow (${slowName(Number(before.split(' ')[1]))})`
      : `call ${callee}`;
  }
  const offset = /^offset=(\d+)$/.exec(operand);
  if (!offset) return op.replace('.const', '');
  const at = Number(offset[1]);
  const field = fromState ? stateName(at) : null;
  return at === 0 && field === null ? name : `${name} ${field ?? `+${at}`}`;
}

function stateName(at: number): string | null {
  for (const [name, field] of Object.entries(FIELDS)) if (field.at === at) return name;
  if (at < GPR_AT + 128 && at > 0) return `gpr${(at - GPR_AT) / 8}`;
  if (at >= XMM_AT && at < XMM_AT + 256) return `xmm${(at - XMM_AT) / 16}`;
  if (at >= SEG_AT && at < SEG_AT + 8 * SEG_STRIDE)
    return `${['es', 'cs', 'ss', 'ds', 'fs', 'gs'][(at - SEG_AT) >> 5]}.base`;
  if (at >= 0x580 && at < 0x600) return `arg${(at - 0x580) / 16}`;
  if (at >= 0x600 && at < 0x640) return `ret${(at - 0x600) / 16}`;
  return at === 0x640 ? 'scratch' : null;
}
