// Drops checks that an earlier instruction of the block has made: whether SSE may be used cannot change within a block.

import type { Node, Program } from '../isa/ir.ts';
import { dropUnused } from './fold.ts';

/**
 * `fault when state.sseFault == n` is kept once. Only slow paths that end a block write what the field depends on
 * (CR0, CR4); x87Fault is another matter, since every x87 instruction can make an exception pending.
 */
export function dropRepeatedChecks(programs: readonly Program[]): Program[] {
  const made = new Set<bigint>();
  return programs.map((program) => {
    const skips = program.nodes.some((n) => n.op === 'skip');
    const nodes = program.nodes.filter((n) => {
      const vector = checkedVector(n);
      if (vector === null) return true;
      const again = made.has(vector);
      if (!skips) made.add(vector);
      return !again;
    });
    return dropUnused({ ...program, nodes });
  });
}

function checkedVector(n: Node): bigint | null {
  if (n.op !== 'fault' || n.when.op !== 'cmp' || n.when.fn !== 'eq') return null;
  const { a, b } = n.when;
  return a.op === 'getstate' && a.field === 'sseFault' && b.op === 'const' ? b.value : null;
}
