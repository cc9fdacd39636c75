// Which handler runs an instruction: hot ones are cases of the hot function, cold ones are compiled when first met.

import type { Decoded } from '../decoded.ts';
import { type FlagFn, fallsThrough, isValue, type Program, type Width } from '../isa/ir.ts';
import type { KnownFlags } from '../lower/site.ts';
import { programOf } from '../program.ts';
import { type DecodeTables, KEPT, KIND_BITS, KIND_SHAPE, SHAPES } from './decode-tables.ts';
import { coldModule, type HandlerSpec, type ModuleContext } from './module.ts';
import type { CompiledHandlers } from './modules.ts';
import { FIRST_HOT_HANDLER, type Shape, shapeOf } from './records.ts';

/** Facts about a program that decoding a block asks for. */
interface Traits {
  readonly readsFlags: boolean;
  /** Number of the flags' producer after it (`producerOf`), or KEPT: it writes none. */
  readonly leaves: number;
  /** It has a relative branch: the record holds a target. */
  readonly branches: boolean;
  /** Control can reach what lies behind it. */
  readonly falls: boolean;
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

const numbers = new Map<string, number>();

/** The number of a form with its prefixes, by `Decoded.key`: small, and the same for the life of the process. */
export function formNumber(key: string): number {
  let number = numbers.get(key);
  if (number === undefined) {
    number = numbers.size;
    numbers.set(key, number);
  }
  return number;
}

/** The key of the form in a handler's name, which `nameOf` made; behind it stands the kind. */
function formIn(name: string): string {
  return name.slice(0, name.lastIndexOf(' '));
}

/** Forms in the order of the handlers' names: a bundle has those, and needs no list of its own. */
export function formsOf(names: readonly string[]): string[] {
  return [...new Set(names.map(formIn))];
}

export function factsOf(d: Decoded): FormFacts {
  const known = facts.get(d.key);
  if (known) return known;
  const program = programOf(d);
  const made = { id: formNumber(d.key), program, traits: computeTraits(program) };
  facts.set(d.key, made);
  return made;
}

function computeTraits(program: Program): Traits {
  let readsFlags = false;
  let branches = false;
  let leaves = KEPT;
  let conditional = false;
  for (const n of program.nodes) {
    if (isValue(n)) {
      if (n.op === 'flag' || n.op === 'cond') readsFlags = true;
    } else if (n.op === 'branch') {
      branches = true;
    } else if (n.op === 'skip') {
      conditional = true;
    } else if (n.op === 'setflags' || n.op === 'call') {
      leaves = NOT_KNOWN;
    } else if (n.op === 'flags') {
      const told = !conditional && n.fn !== 'adc' && n.fn !== 'sbb';
      leaves = told ? producerOf({ fn: n.fn, width: n.res.width }) : NOT_KNOWN;
    }
  }
  const falls = !program.ends || fallsThrough(program);
  return { readsFlags, branches, leaves, falls };
}

const PRODUCERS: Readonly<Record<FlagFn, number>> = {
  add: 0,
  adc: 1,
  sub: 2,
  sbb: 3,
  logic: 4,
  mix: 5,
};

/** The flags' producer as a number; 0: not known. */
export const NOT_KNOWN = 0;
function producerOf(known: KnownFlags | null): number {
  return known ? 1 + PRODUCERS[known.fn] * 4 + (31 - Math.clz32(known.width >> 3)) : NOT_KNOWN;
}

const FUNCTIONS = Object.keys(PRODUCERS) as readonly FlagFn[];

function producerNamed(n: number): KnownFlags | null {
  if (n === NOT_KNOWN) return null;
  const width = (8 << ((n - 1) & 3)) as Width;
  return { fn: FUNCTIONS[(n - 1) >> 2] as FlagFn, width };
}

/** What makes a handler of a form: its address shape, what it knows of the flags. */
function kindOf({ traits }: FormFacts, shape: Shape, producer: number): number {
  return (SHAPES[shape] << KIND_SHAPE) | (traits.readsFlags ? producer : NOT_KNOWN);
}

/** Names a handler for good: the table entry and its variant, and its kind. */
export function nameOf({ d, shape, known }: HandlerSpec): string {
  return `${d.key} ${kindOf(factsOf(d), shape, producerOf(known))}`;
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
  readonly names: readonly string[];
  readonly examples: readonly string[];
  readonly specs: readonly HandlerSpec[];
}

/** Misses before the warm handlers are compiled, all in one module: a run that is over sooner does not pay for them. */
const MISSES_BEFORE_WARM = 16;
const WARM_AT_MOST = 2048;

/** Modules of cold handlers by name, for all vCPUs of the process: nothing else goes into them. */
const compiled = new Map<string, WebAssembly.Module>();
const MOST_COMPILED = 4096;

function compiledCold(spec: HandlerSpec, name: string, context: ModuleContext): WebAssembly.Module {
  let module = compiled.get(name);
  if (!module) {
    if (compiled.size >= MOST_COMPILED) compiled.clear();
    module = new WebAssembly.Module(coldModule([spec], context));
    compiled.set(name, module);
  }
  return module;
}

/** Handler numbers by name; compiles cold handlers into the table. */
export class Handlers {
  /** For tools: a line of hot-list.ts for each handler number. */
  readonly examples: (string | undefined)[] = [];
  private readonly byName = new Map<string, number>();
  /** The same by form and kind, as far as they were met lately: no text has to be made. */
  private readonly numbers: DecodeTables;
  private readonly context: ModuleContext;
  private readonly table: WebAssembly.Table;
  private readonly imports: Record<string, unknown>;
  private readonly warm: (context: ModuleContext) => CompiledHandlers;
  private next = FIRST_HOT_HANDLER;
  private misses = 0;
  private readonly firstCold: number;
  private readonly limit: number;

  constructor(o: {
    hot: CompiledHandlers;
    warm: (context: ModuleContext) => CompiledHandlers;
    context: ModuleContext;
    table: WebAssembly.Table;
    imports: Record<string, unknown>;
    numbers: DecodeTables;
  }) {
    this.numbers = o.numbers;
    this.warm = o.warm;
    this.context = o.context;
    this.table = o.table;
    this.limit = o.table.length; // What is added to the table later is not ours.
    this.imports = o.imports;
    o.hot.names.forEach((name, i) => {
      this.add(name, o.hot.examples[i]);
    });
    this.firstCold = this.next;
  }

  get count(): number {
    return this.next - FIRST_HOT_HANDLER;
  }

  /** `code[at]` is where the instruction's bytes lie; `facts` are its form's; `producer`: of the flags before it. */
  numberOf(
    d: Decoded,
    facts: FormFacts,
    producer: number,
    flat: boolean,
    code: Uint8Array,
    at: number,
  ): number {
    const kind = kindOf(facts, shapeOf(d, flat), producer);
    const key = (facts.id << KIND_BITS) | kind;
    let number = this.numbers.handler(key);
    if (number === 0) {
      number = this.named(`${d.key} ${kind}`, () => ({
        spec: handlerSpec(d, producerNamed(producer), flat),
        code: code.subarray(at, at + d.length),
      }));
      if (this.numbers.handler(key) === 0) this.numbers.setHandler(key, number);
    }
    return number;
  }

  private named(name: string, ask: () => { spec: HandlerSpec; code: Uint8Array }): number {
    const number = this.byName.get(name);
    if (number !== undefined) return number;
    if (++this.misses === MISSES_BEFORE_WARM) {
      this.addWarm();
      return this.named(name, ask);
    }
    const { spec, code } = ask();
    const module = compiledCold(spec, name, this.context);
    const { exports } = new WebAssembly.Instance(module, { e: this.imports });
    this.table.set(this.next, exports.f0);
    this.add(name, exampleOf(spec, code));
    return this.next - 1;
  }

  /** Whether `count` more handlers find a place in the table, warm ones included. */
  hasRoom(count: number): boolean {
    return this.next + count + WARM_AT_MOST < this.limit;
  }

  /** A guest that uses more forms than the table holds starts over; nothing decoded may refer to them. */
  forgetCold(): void {
    for (const [name, n] of this.byName) {
      if (n < this.firstCold) continue;
      this.byName.delete(name);
      this.table.set(n, null);
    }
    this.numbers.forgetHandlers();
    for (const [name, n] of this.byName) this.announce(name, n);
    this.next = this.firstCold;
    this.misses = 0;
  }

  private addWarm(): void {
    const { names, examples, module } = this.warm(this.context);
    const { exports } = new WebAssembly.Instance(module, { e: this.imports });
    names.forEach((name, i) => {
      if (this.byName.has(name)) return;
      this.table.set(this.next, exports[`f${i}`]);
      this.add(name, examples[i]);
    });
  }

  private add(name: string, example: string | undefined): void {
    this.examples[this.next] = example;
    this.announce(name, this.next);
    this.byName.set(name, this.next++);
  }

  private announce(name: string, number: number): void {
    const form = formIn(name);
    const kind = Number(name.slice(form.length + 1));
    this.numbers.setHandler((formNumber(form) << KIND_BITS) | kind, number);
  }
}

function exampleOf({ d, known }: HandlerSpec, code: Uint8Array): string {
  const hex = Array.from(code, (b) => b.toString(16).padStart(2, '0')).join('');
  return `${d.variant.mode} ${hex}${known ? ` ${known.fn} ${known.width}` : ''}`;
}
