// Call sites must have been rewritten with what the operation is here, and mean the same as before.

import { defineProbe } from '../define.ts';

/** FF /2 with a displacement: a call through memory. */
const INDIRECT = 0x15ff;

export const initPatch = defineProbe<{
  sites: number;
  site: number;
  patched: number;
  unpatched: number;
}>({
  id: 'init-patch',
  title: 'a rewritten call site does what the call through the table does',
  ref: 'arch/x86/kernel/paravirt.c native_patch (2.6.32)',
  about: ['irq.save_fl'],
  runsOn: ({ traits }) => (traits.patching === 'none' ? 'the text cannot be written' : null),
  guest(a) {
    const site = a.fresh('patched');
    a.text('mov eax, [kernel.patched]')
      .report('sites', 'eax')
      .text(`movzx eax, word ptr [${site}]`);
    a.report('site', 'eax').text(`${site}:`).op('irq.save_fl').report('patched', 'eax');
    a.text('call {word} ptr [ops.irq.save_fl]').report('unpatched', 'eax');
  },
  check({ sites, site, patched, unpatched }, t) {
    t.ok(sites > 50, 'sites have been rewritten');
    t.ok(site !== INDIRECT, 'this site calls through the table no more');
    t.equal(patched & 0x200, unpatched & 0x200, 'IF, as both ways have it');
  },
});
