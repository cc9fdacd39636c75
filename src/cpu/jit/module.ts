// WebAssembly modules of translated blocks: their imports, and their text for golden tests and docs.

import { flagsFunction } from '../lower/flags.ts';
import type { LowerOptions } from '../lower/lower.ts';
import type { Helpers } from '../lower/site.ts';
import { FIELDS, GPR_AT, SEG_AT, SEG_STRIDE, XMM_AT } from '../state.ts';
import { ModuleBuilder, type ValType } from '../wasm/encode.ts';
import { type BlockCode, type BlockSpec, compileBlock } from './block.ts';

const SLOW_ACCESS: readonly ValType[] = ['f64', 'i32', 'i32'];

function importHelpers(m: ModuleBuilder): Helpers {
  return {
    load: m.importFunction('e', 'load', SLOW_ACCESS, ['i32']),
    rmw: m.importFunction('e', 'rmw', SLOW_ACCESS, ['i32']),
    store: m.importFunction('e', 'store', SLOW_ACCESS, ['i32']),
    probe: m.importFunction('e', 'probe', SLOW_ACCESS, ['i32']),
    segment: m.importFunction('e', 'segment', ['i32', 'i32', 'i32', 'i32'], ['i32']),
    slow: m.importFunction('e', 'slow', ['i32'], ['i32']),
    flags: m.importFunction('e', 'flags', ['i32'], ['i32']),
  };
}

/** A module with one block: exports `block(state) -> exit`. */
export function blockModule(spec: BlockSpec, options: LowerOptions): Uint8Array {
  const m = new ModuleBuilder();
  const helpers = importHelpers(m);
  m.importMemory('e', 'memory', 1);
  const { code } = compileBlock(spec, helpers, options);
  m.addFunction(m.type(['i32'], ['i32']), code.body(), 'block');
  return m.encode();
}

/** The module of `flags(state)`, which all blocks import. */
export function flagsModule(): Uint8Array {
  const m = new ModuleBuilder();
  m.importMemory('e', 'memory', 1);
  m.addFunction(m.type(['i32'], ['i32']), flagsFunction().body(), 'flags');
  return m.encode();
}

/** What a block became. `slowName` gives back the name behind a slow path's number. */
export function blockText(
  spec: BlockSpec,
  options: LowerOptions,
  slowName: (id: number) => string,
): BlockCode & { readonly text: string } {
  const helpers = importHelpers(new ModuleBuilder());
  const made = compileBlock({ ...spec, withText: true }, helpers, options);
  const calls = new Map(Object.entries(helpers).map(([name, index]) => [index as number, name]));
  return { ...made, text: format(made.code.text ?? [], made.names, calls, slowName) };
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
    const fromState = i > 0 && lines[i - 1] === 'local.get 0';
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
  // Offsets of TLB entries are small; everything above belongs to the state.
  const field = fromState || at > 16 || name.includes('store') ? stateName(at) : null;
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
