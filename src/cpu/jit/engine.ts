// The JIT's blocks as an engine of their own: translated when first met, dispatched from TypeScript. Proves the translation.

import { bug } from '../../base/errors.ts';
import type { Engine, EngineParts, Stop } from '../core.ts';
import { decode } from '../decode.ts';
import type { Decoded } from '../decoded.ts';
import { FRAME_CODE } from '../frames.ts';
import { programOf } from '../program.ts';
import { checkSegment } from '../segment-check.ts';
import { slowPaths } from '../slow/registry.ts';
import { MODE_KEY_FLAT, MODE_KEY_LIMIT } from '../state.ts';
import { type BlockSpec, EXIT_BUDGET, EXIT_NEXT, MAX_BLOCK } from './block.ts';
import { blockModule, flagsModule } from './module.ts';

const MAX_INSN = 15;
const MAX_COMPILED = 4096;
const SEG_CS = 1;

const paths = [...slowPaths.values()];
const slowIds = new Map(paths.map((p, id) => [p.name, id]));

export const slowNumbers = {
  slowId: (name: string): number => slowIds.get(name) ?? bug(`no slow path named ${name}`),
};
export const slowNameOf = (id: number): string => paths[id]?.name ?? `${id}`;

interface Block {
  readonly insns: readonly Decoded[];
  readonly run: (state: number) => number;
  /** Guest-physical places of its bytes: start and length, one or two. */
  readonly parts: readonly (readonly [number, number])[];
}

export interface BlockEngineOptions {
  /** Most instructions of a block. */
  readonly maxBlock?: number;
  /** Code that reads RIP at entry, as a cache by physical page needs it, instead of having it as a constant. */
  readonly anyAddress?: boolean;
}

/** Not a tier: every block is looked up in a Map. It exists so that whole programs run on translated blocks. */
export class BlockEngine implements Engine {
  readonly name = 'jit blocks';
  private readonly p: EngineParts;
  private readonly maxBlock: number;
  private readonly anyAddress: boolean;
  private readonly imports: Record<string, unknown>;
  /** By bytes, RIP and mode: a function depends on nothing else. */
  private readonly compiled = new Map<string, Block['run']>();
  private readonly blocks = new Map<string, Block>();
  /** Frames with blocks, for the marks that make stores to them visible. */
  private readonly marked = new Set<number>();
  private current: Block | null = null;
  private restarting = false;

  constructor(p: EngineParts, options: BlockEngineOptions = {}) {
    this.p = p;
    this.maxBlock = options.maxBlock ?? MAX_BLOCK;
    this.anyAddress = options.anyAddress ?? false;
    const { mmu } = p;
    const e: Record<string, unknown> = {
      memory: p.memory,
      load: (va: number, bytes: number, stack: number) => mmu.loadSlow(va, bytes, stack),
      rmw: (va: number, bytes: number, stack: number) => mmu.rmwSlow(va, bytes, stack),
      store: (va: number, bytes: number, stack: number) => mmu.storeSlow(va, bytes, stack),
      probe: (va: number, bytes: number, stack: number) => mmu.probeSlow(va, bytes, stack),
      segment: (seg: number, offset: number, bytes: number, writes: number) =>
        checkSegment(p.state, seg, offset >>> 0, bytes, writes !== 0),
      slow: (id: number) => this.slow(id),
    };
    const flags = new WebAssembly.Instance(new WebAssembly.Module(flagsModule()), { e });
    e.flags = flags.exports.flags;
    this.imports = e;
  }

  run(): Stop {
    const { state } = this.p;
    let most = this.maxBlock;
    for (;;) {
      if (state.get('attention') !== 0) return 'attention';
      if ((state.get('budget') | 0) <= 0) return 'budget';
      const block = this.find(most);
      if (block === null) return 'fault';
      this.current = block;
      const exit = block.run(state.base);
      this.current = null;
      most = this.maxBlock;
      if (exit === EXIT_NEXT) continue;
      // The rest of the budget, or the access that must be a block's last, is done one instruction at a time.
      if (exit === EXIT_BUDGET || this.restarting) {
        most = 1;
        this.restarting = false;
        continue;
      }
      return 'fault';
    }
  }

  pending(): number {
    if (!this.current) return 0;
    return this.current.insns.length - this.index();
  }

  mayActNow(): boolean {
    return this.pending() <= 1;
  }

  restart(): void {
    this.restarting = true;
  }

  codeAt(gpa: number, bytes: number): boolean {
    for (const block of this.blocks.values()) if (touches(block, gpa, bytes)) return true;
    return false;
  }

  codeWritten(gpa: number, bytes: number): void {
    for (const [key, block] of this.blocks) if (touches(block, gpa, bytes)) this.blocks.delete(key);
    for (const frame of this.marked) {
      if (this.codeAt(frame * 4096, 4096)) continue;
      this.marked.delete(frame);
      this.p.mmu.clearFrame(frame, FRAME_CODE);
    }
  }

  private index(): number {
    return this.p.state.get('rec') & 0xff;
  }

  private slow(id: number): number {
    const { cx } = this.p;
    const d = this.current?.insns[this.index()] ?? bug('a slow path outside a block');
    cx.insn.length = d.length;
    cx.insn.osize = d.variant.osize;
    cx.insn.asize = d.variant.asize;
    cx.insn.mode = d.variant.mode;
    return (paths[id] ?? bug(`no slow path ${id}`)).run(cx);
  }

  /** The block at RIP; null: a fault is raised. */
  private find(most: number): Block | null {
    const { state, mmu } = this.p;
    const mode = state.get('codeMode');
    const base = mode === 64 ? 0 : state.segBase(SEG_CS);
    const linear = mode === 64 ? state.getVa('rip') : (state.getVa('rip') + base) >>> 0;
    const gpa = mmu.fetch(linear);
    if (gpa < 0) return null;
    if (!mmu.isRam(gpa)) return this.undecodable(gpa, 'not-ram');
    const where = `${gpa}/${most}/${state.get('modeKey')}/${state.get64('rip')}`;
    const known = this.blocks.get(where);
    if (known && known.parts.length === 1) return known;
    const made = this.decodeBlock(gpa, linear, most);
    if (made === null) return null;
    if (known && sameParts(known, made.parts)) return known;
    const block = { ...made, run: this.compile(made.insns, made.bytes) };
    this.blocks.set(where, block);
    this.mark(block);
    return block;
  }

  private decodeBlock(
    gpa: number,
    linear: number,
    most: number,
  ): { insns: Decoded[]; bytes: Uint8Array; parts: [number, number][] } | null {
    const { u8 } = this.p.views;
    const mode = this.p.state.get('codeMode') as 16 | 32 | 64;
    const start = this.p.layout.ramBase + gpa;
    const end = start + 4096 - (gpa & 0xfff);
    const insns: Decoded[] = [];
    let at = start;
    while (insns.length < most && at < end) {
      const d = decode(u8, at, Math.min(end, at + MAX_INSN), mode, false, this.limited());
      if ('failure' in d) {
        if (insns.length > 0) break;
        if (d.failure === 'truncated') return this.decodeCrossing(gpa, linear);
        return this.undecodable(gpa, d.failure);
      }
      insns.push(d);
      at += d.length;
      if (programOf(d).ends) break;
    }
    return { insns, bytes: u8.slice(start, at), parts: [[gpa, at - start]] };
  }

  /** One instruction in two pages: looked at afresh each time, since the second page may be another one. */
  private decodeCrossing(gpa: number, linear: number): ReturnType<BlockEngine['decodeBlock']> {
    const { views, mmu, layout, state } = this.p;
    const mode = state.get('codeMode') as 16 | 32 | 64;
    const head = 4096 - (gpa & 0xfff);
    const gpa2 = mmu.fetch(mode === 64 ? linear + head : (linear + head) >>> 0);
    if (gpa2 < 0) return null;
    if (!mmu.isRam(gpa2)) return this.undecodable(gpa2, 'not-ram');
    const bytes = new Uint8Array(MAX_INSN);
    const at = layout.ramBase + gpa;
    bytes.set(views.u8.subarray(at, at + head));
    const at2 = layout.ramBase + gpa2;
    bytes.set(views.u8.subarray(at2, at2 + MAX_INSN - head), head);
    const d = decode(bytes, 0, MAX_INSN, mode, false, this.limited());
    if ('failure' in d)
      return this.undecodable(gpa, d.failure === 'undefined' ? 'undefined' : 'too-long');
    const parts: [number, number][] = [
      [gpa, head],
      [gpa2, d.length - head],
    ];
    return { insns: [d], bytes: bytes.slice(0, d.length), parts };
  }

  private limited(): boolean {
    return (this.p.state.get('modeKey') & MODE_KEY_LIMIT) !== 0;
  }

  private undecodable(gpa: number, why: 'undefined' | 'too-long' | 'truncated' | 'not-ram'): null {
    this.p.undecodable(gpa, why === 'truncated' ? 'too-long' : why);
    return null;
  }

  private compile(insns: readonly Decoded[], bytes: Uint8Array): Block['run'] {
    const { state } = this.p;
    const modeKey = state.get('modeKey');
    const rip = this.anyAddress ? null : state.get64('rip');
    const key = `${bytes.join()}/${modeKey}/${rip}`;
    const known = this.compiled.get(key);
    if (known) return known;
    const spec: BlockSpec = { insns, rip, flat: (modeKey & MODE_KEY_FLAT) !== 0 };
    const module = new WebAssembly.Module(blockModule(spec, slowNumbers));
    const { exports } = new WebAssembly.Instance(module, { e: this.imports });
    const run = exports.block as Block['run'];
    if (this.compiled.size >= MAX_COMPILED) this.compiled.clear();
    this.compiled.set(key, run);
    return run;
  }

  private mark(block: Block): void {
    for (const [gpa] of block.parts) {
      const frame = gpa >>> 12;
      this.marked.add(frame);
      this.p.mmu.setFrame(frame, FRAME_CODE);
    }
  }
}

function touches(block: Block, gpa: number, bytes: number): boolean {
  return block.parts.some(([at, n]) => at < gpa + bytes && gpa < at + n);
}

function sameParts(block: Block, parts: readonly (readonly [number, number])[]): boolean {
  return block.parts.join() === parts.join();
}
