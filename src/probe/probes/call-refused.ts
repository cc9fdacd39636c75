// What an interface's own specification refuses must be refused, with the answer that it has for that.

import { REFUSALS_MAX } from '../../ops/index.ts';
import { defineProbe } from '../define.ts';

export const callRefused = defineProbe<Record<string, number>>({
  id: 'call-refused',
  title: 'calls that the specification refuses get the answers that it has for them',
  ref: 'refusals of the binding',
  about: [],
  runsOn: ({ refusals }) =>
    refusals.length > 0 ? null : 'what it refuses has no answer: it ends the guest, or is a fault',
  guest(a) {
    for (let n = 0; n < REFUSALS_MAX; n++) {
      const next = a.fresh('refusal');
      a.text(`mov {cx}, kernel.missing; cmp [ops.refusal_${n}], {cx}; je ${next}`);
      a.text(`call {word} ptr [ops.refusal_${n}]`).report(`answer_${n}`, 'eax').text(`${next}:`);
    }
  },
  check(answers, t) {
    for (const [n, { what, answer }] of t.facts.refusals.entries())
      t.equal(answers[`answer_${n}`] ?? -1, answer, what);
  },
});
