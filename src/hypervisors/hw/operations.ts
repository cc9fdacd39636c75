// Operations as hardware does them, for every interface whose guests have the machine itself beneath them.

import type { Operation } from '../../ops/index.ts';
import type { EntryPoint, Manifest, Visibility } from '../manifest.ts';

/** How each mechanism shows at the border of the CPU, whoever answers there. */
const SEEN = {
  port: 'exit',
  device: 'exit',
  msr: 'exit',
  cpuid: 'exit',
  hypercall: 'exit',
  instruction: 'unseen',
  memory: 'unseen',
  code: 'unseen',
  nothing: 'unseen',
  rom: 'unseen',
  shared: 'unseen',
  event: 'unseen',
} as const satisfies Record<Operation['native']['by'], Visibility>;

/** Instructions that end a run of the CPU, or that exit when somebody traces (seen-instructions.ts). */
const EXITS = /^(STI; |CLI; )?HLT|^MOV (to|from) [CD]R|^CLTS|^INVLPG|^[LS][GI]DT/;

/** Stores to page tables, when somebody asks for them (table-watcher.ts). */
const STORES = /^mmu\.(set_p|p[tm][ed]_clear)/;

export function hardwareEntryPoint({ id, native }: Operation): EntryPoint {
  const watched = native.by === 'memory' && STORES.test(id);
  const entry = {
    name: native.what,
    by: native.by,
    seen: watched ? 'watched' : EXITS.test(native.what) ? 'exit' : SEEN[native.by],
  } as const;
  // Nobody can press the machine's buttons yet.
  return native.by === 'event' ? { ...entry, status: 'not modelled' } : entry;
}

/** Nothing but hardware. */
export const HARDWARE_MANIFEST: Manifest = { operations: {}, others: [], rest: hardwareEntryPoint };
