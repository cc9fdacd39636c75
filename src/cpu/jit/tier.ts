// Tier 1 at work: hot blocks of tier 0 are gathered into regions, translated in batches, entered through their heads.

import { decode } from '../decode.ts';
import type { Decoded } from '../decoded.ts';
import type { Block, CodeCache } from '../interp/blocks.ts';
import { importHelpers } from '../interp/module.ts';
import {
  H_COUNT,
  H_INDEX,
  H_PAGE,
  H_SLOT,
  HANDLER_HEAD,
  HANDLER_REGION,
  R_HANDLER,
  R_LEFT,
  RECORD_BYTES,
} from '../interp/records.ts';
import { isValue } from '../isa/ir.ts';
import { programOf } from '../program.ts';
import { type Layout, MODE_KEY_FLAT, MODE_KEY_LIMIT, type State, type Views } from '../state.ts';
import { ModuleBuilder } from '../wasm/encode.ts';
import { compileRegion, type RegionBlock, type RegionSpec } from './region.ts';

/** Entries of a block before it is translated. */
export const THRESHOLD = 2000;
const BATCH = 8;
const REGION_INSNS = 200;
const REGION_BLOCKS = 40;
/** Blocks that have run at least so often join a hot neighbour's region. */
const WARM = 16;

interface Region {
  readonly slot: number;
  readonly blocks: readonly Block[];
  dead: boolean;
}

export interface TierParts {
  readonly views: Views;
  readonly layout: Layout;
  readonly state: State;
  readonly cache: CodeCache;
  readonly table: WebAssembly.Table;
  readonly imports: Record<string, unknown>;
  readonly firstSlot: number;
  slowId(name: string): number;
}

export class Tier1 {
  regions = 0;
  bytes = 0;
  private readonly p: TierParts;
  private readonly queue: { block: Block; page: bigint }[] = [];
  private readonly byBlock = new Map<Block, Region>();
  private readonly freeSlots: number[] = [];

  constructor(p: TierParts) {
    this.p = p;
    for (let slot = p.table.length - 1; slot >= p.firstSlot; slot--) this.freeSlots.push(slot);
  }

  /** A block's head has counted to the threshold. The state's ripPage is that of its page now. */
  heat(head: number): void {
    const block = this.p.cache.blockAt(head);
    if (!block) return;
    this.queue.push({ block, page: this.p.state.get64('ripPage') });
    if (this.queue.length >= BATCH) this.translate();
  }

  /** The cache has dropped a block: its region is not entered again. */
  dropped(block: Block): void {
    const region = this.byBlock.get(block);
    if (!region || region.dead) return;
    region.dead = true;
    this.p.table.set(region.slot, null);
    this.freeSlots.push(region.slot);
    for (const b of region.blocks) {
      this.byBlock.delete(b);
      this.resetHead(b);
    }
  }

  private translate(): void {
    const m = new ModuleBuilder();
    const helpers = {
      ...importHelpers(m),
      flags: m.importFunction('e', 'flags', ['i32'], ['i32']),
    };
    m.importMemory('e', 'memory', 1);
    const type = m.type(['i32', 'i32'], ['i32']);
    const made: { spec: RegionSpec; blocks: Block[] }[] = [];
    const taken = new Set<Block>(); // A block lies in one region only: else it would outlive the drop of its bytes.
    for (const { block, page } of this.queue.splice(0)) {
      if (this.byBlock.has(block) || taken.has(block)) continue;
      if (this.p.cache.blockAt(block.record) !== block) continue; // Dropped since.
      const region = this.gather(block, page, taken);
      if (!region) continue;
      for (const b of region.blocks) taken.add(b);
      const code = compileRegion(region.spec, helpers, { slowId: this.p.slowId });
      m.addFunction(type, code.body(), `r${made.length}`);
      made.push(region);
    }
    if (made.length === 0) return;
    const bytes = m.encode();
    this.bytes += bytes.length;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      e: this.p.imports,
    });
    made.forEach(({ spec, blocks }, i) => {
      this.install(spec, blocks, exports[`r${i}`]);
    });
  }

  private install(spec: RegionSpec, blocks: readonly Block[], code: unknown): void {
    const slot = this.freeSlots.pop();
    if (slot === undefined) return;
    this.p.table.set(slot, code);
    const region: Region = { slot, blocks, dead: false };
    const { u16, i32, u32, i64 } = this.p.views;
    blocks.forEach((b, index) => {
      this.byBlock.set(b, region);
      i64[(b.record + H_PAGE) >> 3] = BigInt.asIntN(64, spec.page);
      i32[(b.record + H_INDEX) >> 2] = index;
      u32[(b.record + H_SLOT) >> 2] = slot;
      u16[(b.record + R_HANDLER) >> 1] = HANDLER_REGION;
    });
    this.regions++;
  }

  private resetHead(b: Block): void {
    const { u16, i32 } = this.p.views;
    if (u16[(b.record + R_HANDLER) >> 1] !== HANDLER_REGION) return;
    u16[(b.record + R_HANDLER) >> 1] = HANDLER_HEAD;
    i32[(b.record + H_COUNT) >> 2] = 0;
  }

  /** The blocks that can be reached from this one by jumps within the page, as far as they have run. */
  private gather(
    entry: Block,
    page: bigint,
    taken: ReadonlySet<Block>,
  ): { spec: RegionSpec; blocks: Block[] } | null {
    const mode = (entry.modeKey & 0x7f) as 16 | 32 | 64;
    if (mode === 16 || (entry.modeKey & MODE_KEY_LIMIT) !== 0) return null;
    const found = new Map<Block, RegionBlock>();
    const work = [entry];
    let insns = 0;
    for (let b = work.shift(); b; b = work.shift()) {
      if (found.has(b) || (b !== entry && (this.byBlock.has(b) || taken.has(b) || !this.isWarm(b))))
        continue;
      const region = this.read(b, mode);
      if (!region || insns + region.insns.length > REGION_INSNS || found.size >= REGION_BLOCKS)
        continue;
      found.set(b, region);
      insns += region.insns.length;
      if (!region.leaves) for (const to of targets(region)) this.visit(b, to, work);
    }
    if (!found.has(entry)) return null;
    const sorted = [...found].sort((a, b) => a[1].offset - b[1].offset);
    const blocks = sorted.map(([, r]) => r);
    const flat = (entry.modeKey & MODE_KEY_FLAT) !== 0;
    return {
      spec: { blocks, page, mode, flat, recordBytes: RECORD_BYTES },
      blocks: sorted.map(([b]) => b),
    };
  }

  private visit(from: Block, offset: number, work: Block[]): void {
    if (offset < 0 || offset >= 4096) return;
    const to = this.p.cache.find((from.gpa & ~0xfff) + offset, from.modeKey);
    if (to) work.push(to);
  }

  private isWarm(b: Block): boolean {
    const { u16, i32 } = this.p.views;
    return (
      u16[(b.record + R_HANDLER) >> 1] === HANDLER_HEAD &&
      (i32[(b.record + H_COUNT) >> 2] as number) >= WARM
    );
  }

  /** The block's instructions, decoded again; null if it cannot be translated. */
  private read(b: Block, mode: 32 | 64): RegionBlock | null {
    if (b.gpa2 >= 0) return null;
    const { u8 } = this.p.views;
    const count = u8[b.record + R_LEFT] as number;
    const insns: Decoded[] = [];
    let at = this.p.layout.ramBase + b.gpa;
    for (let n = 0; n < count; n++) {
      const d = decode(u8, at, at + 15, mode, (b.modeKey & 0x80) !== 0);
      if ('failure' in d || !translatable(d)) return null;
      insns.push(d);
      at += d.length;
    }
    const last = at - this.p.layout.ramBase - (insns.at(-1)?.length ?? 0);
    return {
      insns,
      offset: b.gpa & 0xfff,
      head: b.record,
      record: b.record + RECORD_BYTES,
      leaves: this.p.cache.isAlone(last),
    };
  }
}

/** Repeated string instructions are tier 0's: they do many iterations at once there. */
function translatable(d: Decoded): boolean {
  return programOf(d).nodes.every((n) => isValue(n) || (n.op !== 'again' && n.op !== 'bulk'));
}

/** Offsets in the page to which the block can go by itself. */
function targets(b: RegionBlock): number[] {
  const end = b.offset + b.insns.reduce((sum, d) => sum + d.length, 0);
  const last = b.insns.at(-1);
  const branch = last && programOf(last).nodes.find((n) => n.op === 'branch');
  if (!last || !branch || branch.op !== 'branch') return last && programOf(last).ends ? [] : [end];
  const target = end + last.immLo[0];
  return branch.when === null ? [target] : [end, target];
}
