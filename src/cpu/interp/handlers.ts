// Which handler runs an instruction: hot ones are cases of the hot function, cold ones are compiled when first met.

import type { Decoded } from '../decoded.ts';
import { type FlagFn, isValue, type Program } from '../isa/ir.ts';
import type { KnownFlags } from '../lower/site.ts';
import { programOf } from '../program.ts';
import { coldModule, type HandlerSpec, type ModuleContext } from './module.ts';
import { FIRST_HOT_HANDLER, type Shape, shapeOf } from './records.ts';

/** Facts about a program that decoding a block asks for. */
interface Traits {
  readonly readsFlags: boolean;
  /** The flags' producer after it; 'kept': it writes none; null: not known. */
  readonly leaves: KnownFlags | 'kept' | null;
  /** It has a relative branch: the record holds a target. */
  readonly branches: boolean;
}

/** What decoding asks of a form with its prefixes, looked up once for each instruction. */
export interface FormFacts {
  /** Equal for equal keys, and small. */
  readonly id: number;
  readonly program: Program;
  readonly traits: Traits;
}

/** By key: pure functions of the table, as programs are. */
const facts = new Map<string, FormFacts>();

export function factsOf(d: Decoded): FormFacts {
  const known = facts.get(d.key);
  if (known) return known;
  const program = programOf(d);
  const made = { id: facts.size, program, traits: computeTraits(program) };
  facts.set(d.key, made);
  return made;
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

const SHAPES: Readonly<Record<Shape, number>> = { s: 0, f: 1, a: 2, c: 3 };
const PRODUCERS: Readonly<Record<FlagFn, number>> = {
  add: 0,
  adc: 1,
  sub: 2,
  sbb: 3,
  logic: 4,
  mix: 5,
};

/** Names a handler: the table entry, its variant, its address shape, what it knows of the flags. */
function handlerKey({ id, traits }: FormFacts, shape: Shape, known: KnownFlags | null): number {
  const producer =
    known && traits.readsFlags
      ? 1 + PRODUCERS[known.fn] * 4 + (31 - Math.clz32(known.width >> 3))
      : 0;
  return (id << 7) | (SHAPES[shape] << 5) | producer;
}

export function keyOf({ d, shape, known }: HandlerSpec): number {
  return handlerKey(factsOf(d), shape, known);
}

export function handlerSpec(d: Decoded, known: KnownFlags | null, flat: boolean): HandlerSpec {
  const { program, traits } = factsOf(d);
  return {
    d,
    program,
    shape: shapeOf(d, flat),
    known: traits.readsFlags ? known : null,
    branches: traits.branches,
  };
}

/** A list of handlers, see hot.ts. */
export interface HandlerList {
  readonly keys: readonly number[];
  readonly examples: readonly string[];
  readonly specs: readonly HandlerSpec[];
}

/** Misses before the warm handlers are compiled, all in one module: a run that is over sooner does not pay for them. */
const MISSES_BEFORE_WARM = 16;
const WARM_AT_MOST = 2048;

/** Cold modules by their handlers' keys, for all vCPUs of the process: nothing else goes into them. */
const compiled = new Map<string, WebAssembly.Module>();
const MOST_COMPILED = 4096;

function compiledCold(
  specs: readonly HandlerSpec[],
  keys: readonly number[],
  context: ModuleContext,
): WebAssembly.Module {
  const name = keys.join('\n');
  let module = compiled.get(name);
  if (!module) {
    if (compiled.size >= MOST_COMPILED) compiled.clear();
    module = new WebAssembly.Module(coldModule(specs, context));
    compiled.set(name, module);
  }
  return module;
}

/** Handler numbers by key; compiles cold handlers into the table. */
export class Handlers {
  /** For tools: a line of hot-list.ts for each handler number. */
  readonly examples: (string | undefined)[] = [];
  private readonly numbers = new Map<number, number>();
  private readonly context: ModuleContext;
  private readonly table: WebAssembly.Table;
  private readonly imports: Record<string, unknown>;
  private readonly warm: () => HandlerList;
  private next = FIRST_HOT_HANDLER;
  private misses = 0;
  private readonly firstCold: number;
  private readonly limit: number;

  constructor(o: {
    hot: HandlerList;
    warm: () => HandlerList;
    context: ModuleContext;
    table: WebAssembly.Table;
    imports: Record<string, unknown>;
  }) {
    this.warm = o.warm;
    this.context = o.context;
    this.table = o.table;
    this.limit = o.table.length; // What is added to the table later is not ours.
    this.imports = o.imports;
    o.hot.keys.forEach((key, i) => {
      this.add(key, o.hot.examples[i]);
    });
    this.firstCold = this.next;
  }

  get count(): number {
    return this.next - FIRST_HOT_HANDLER;
  }

  /** `code[at]` is where the instruction's bytes lie; `facts` are its form's. */
  numberOf(
    d: Decoded,
    facts: FormFacts,
    known: KnownFlags | null,
    flat: boolean,
    code: Uint8Array,
    at: number,
  ): number {
    const key = handlerKey(facts, shapeOf(d, flat), known);
    const number = this.numbers.get(key);
    if (number !== undefined) return number;
    if (++this.misses === MISSES_BEFORE_WARM) {
      this.compileWarm();
      return this.numberOf(d, facts, known, flat, code, at);
    }
    const spec = handlerSpec(d, known, flat);
    this.compile([spec], [key], [exampleOf(spec, code.subarray(at, at + d.length))]);
    return this.next - 1;
  }

  /** Whether `count` more handlers find a place in the table, warm ones included. */
  hasRoom(count: number): boolean {
    return this.next + count + WARM_AT_MOST < this.limit;
  }

  /** A guest that uses more forms than the table holds starts over; nothing decoded may refer to them. */
  forgetCold(): void {
    for (const [key, n] of this.numbers) {
      if (n < this.firstCold) continue;
      this.numbers.delete(key);
      this.table.set(n, null);
    }
    this.next = this.firstCold;
    this.misses = 0;
  }

  private compileWarm(): void {
    const { specs, keys, examples } = this.warm();
    const missing = keys.map((key, i) => (this.numbers.has(key) ? -1 : i)).filter((i) => i >= 0);
    const pick = <T>(list: readonly T[]) => missing.map((i) => list[i] as T);
    this.compile(pick(specs), pick(keys), pick(examples));
  }

  private compile(
    specs: readonly HandlerSpec[],
    keys: readonly number[],
    examples: readonly (string | undefined)[],
  ): void {
    if (specs.length === 0) return;
    const module = compiledCold(specs, keys, this.context);
    const { exports } = new WebAssembly.Instance(module, { e: this.imports });
    keys.forEach((key, i) => {
      this.table.set(this.next, exports[`f${i}`]);
      this.add(key, examples[i]);
    });
  }

  private add(key: number, example: string | undefined): void {
    this.examples[this.next] = example;
    this.numbers.set(key, this.next++);
  }
}

function exampleOf({ d, known }: HandlerSpec, code: Uint8Array): string {
  const hex = Array.from(code, (b) => b.toString(16).padStart(2, '0')).join('');
  return `${d.variant.mode} ${hex}${known ? ` ${known.fn} ${known.width}` : ''}`;
}
