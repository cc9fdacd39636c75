// What Xen's toolstack refuses of an image before it builds a domain from it: images for others, and addresses outside them.

import { InputError } from '../../base/errors.ts';
import type { KernelImage } from '../../image/index.ts';
import type { ImageNotes } from './image-notes.ts';
import { hex } from './pv-domain.ts';

/** Xen 4.17, common/libelf/libelf-dominfo.c, elf_xen_note_check: either word does, and what follows it is not looked at. */
export function checkLoader({ name }: KernelImage, notes: ImageNotes): void {
  const { loader, guestOs, xenVersion } = notes;
  if (!loader.startsWith('generic') && !guestOs.startsWith('linux'))
    throw wrong(
      `${name} is for the loader '${loader}' and a guest '${guestOs}': Xen takes 'generic', or 'linux'`,
      'its ELF notes LOADER and GUEST_OS say whom it is for.',
    );
  if (!xenVersion.startsWith('xen-3.0'))
    throw wrong(
      `${name} is for version '${xenVersion}' of Xen's interface: there is 'xen-3.0' only`,
      'its ELF note XEN_VERSION says so; kernels for Xen 2 do not run on later ones.',
    );
}

/** The same, elf_xen_addr_calc_check. `start` and `end`: where the image lies, from the base of the mapping. */
export function checkAddresses(
  { name }: KernelImage,
  { virtBase, entry, initP2m }: ImageNotes,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  if (entry < virtBase + start || entry > virtBase + end)
    throw wrong(
      `${name} has its entry at 0x${hex(entry)}, outside itself`,
      'the file may be damaged.',
    );
  if (initP2m !== null && initP2m >= virtBase + start && initP2m < virtBase + end)
    throw wrong(
      `${name} wants its list of frames at 0x${hex(initP2m)}, where it lies itself`,
      'its ELF note INIT_P2M asks for what no domain can have.',
    );
}

const wrong = (message: string, hint: string): InputError =>
  new InputError('xen-pv/notes', message, hint);
