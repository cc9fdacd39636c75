// Which handler runs an instruction: hot ones are cases of the hot function, cold ones are compiled when first met.

import type { Decoded } from '../decoded.ts';
import { isValue, type Program } from '../isa/ir.ts';
import type { KnownFlags } from '../lower/site.ts';
import { programOf } from '../program.ts';
import { coldModule, type HandlerSpec, type ModuleContext } from './module.ts';
import { FIRST_HOT_HANDLER, shapeOf } from './records.ts';

/** Facts about a program that decoding a block asks for. */
interface Traits {
  readonly readsFlags: boolean;
  /** The flags' producer after it; 'kept': it writes none; null: not known. */
  readonly leaves: KnownFlags | 'kept' | null;
  /** It has a relative branch: the record holds a target. */
  readonly branches: boolean;
}

const traits = new Map<string, Traits>();

export function traitsOf(d: Decoded, program: Program): Traits {
  const known = traits.get(d.key);
  if (known) return known;
  const t = computeTraits(program);
  traits.set(d.key, t);
  return t;
}

function computeTraits(program: Program): Traits {
  let readsFlags = false;
  let branches = false;
  let leaves: Traits['leaves'] = 'kept';
  let conditional = false;
  for (const n of program.nodes) {
    if (isValue(n)) {
      if (n.op === 'flag' || n.op === 'cond') readsFlags = true;
    } else if (n.op === 'branch') {
      branches = true;
    } else if (n.op === 'skip') {
      conditional = true;
    } else if (n.op === 'setflags' || n.op === 'call') {
      leaves = null;
    } else if (n.op === 'flags') {
      leaves =
        conditional || n.fn === 'adc' || n.fn === 'sbb' ? null : { fn: n.fn, width: n.res.width };
    }
  }
  return { readsFlags, branches, leaves };
}

/** Stable text that names a handler: the table entry, its variant, its address shape, what it knows of the flags. */
export function handlerKey(spec: HandlerSpec): string {
  const { d, program, known, shape } = spec;
  const flags = known && traitsOf(d, program).readsFlags ? `${known.fn}${known.width}` : '';
  return `${d.key}|${shape}|${flags}`;
}

export function handlerSpec(d: Decoded, known: KnownFlags | null, flat: boolean): HandlerSpec {
  const program = programOf(d);
  return {
    d,
    program,
    shape: shapeOf(d, flat),
    known: traitsOf(d, program).readsFlags ? known : null,
    branches: traitsOf(d, program).branches,
  };
}

/** Handler numbers by key; compiles cold handlers into the table. */
export class Handlers {
  /** For tools: a line of hot-list.ts for each handler number. */
  readonly examples: (string | undefined)[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly context: ModuleContext;
  private readonly table: WebAssembly.Table;
  private readonly imports: Record<string, unknown>;
  private next: number;

  constructor(
    hot: { readonly keys: readonly string[]; readonly examples: readonly string[] },
    context: ModuleContext,
    table: WebAssembly.Table,
    imports: Record<string, unknown>,
  ) {
    this.context = context;
    this.table = table;
    this.imports = imports;
    hot.keys.forEach((key, i) => {
      this.numbers.set(key, FIRST_HOT_HANDLER + i);
      this.examples[FIRST_HOT_HANDLER + i] = hot.examples[i];
    });
    this.next = FIRST_HOT_HANDLER + hot.keys.length;
  }

  get coldCount(): number {
    return this.next - FIRST_HOT_HANDLER;
  }

  /** `code[at]` is where the instruction's bytes lie. */
  numberOf(spec: HandlerSpec, code: Uint8Array, at: number): number {
    const key = handlerKey(spec);
    const number = this.numbers.get(key);
    if (number !== undefined) return number;
    const bytes = coldModule(spec, this.context);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { e: this.imports });
    const fresh = this.next++;
    this.examples[fresh] = exampleOf(spec, code.subarray(at, at + spec.d.length));
    this.table.set(fresh, instance.exports.f);
    this.numbers.set(key, fresh);
    return fresh;
  }
}

function exampleOf({ d, known }: HandlerSpec, code: Uint8Array): string {
  const hex = Array.from(code, (b) => b.toString(16).padStart(2, '0')).join('');
  return `${d.variant.mode} ${hex}${known ? ` ${known.fn} ${known.width}` : ''}`;
}
