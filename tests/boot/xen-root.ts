// Boots a kernel whose root is an ext4 disk of a Xen domain, with two joined cards; a script in it says what happens there.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDiskFile } from '../../src/host/node/index.ts';
import {
  buildInitramfs,
  findInterface,
  NO_FITTINGS,
  openDisk,
  type RunSpec,
} from '../../src/lab/index.ts';
import { type Booted, boot, findKernel } from './boot.ts';
import { makeExt4 } from './ext4.ts';

const MEBIBYTES = 48;

/** Goes over to the root on xvda, and does the rest there. */
const FIRST = `
mount -t ext4 /dev/xvda /mnt
for d in proc sys dev; do mount -o bind /$d /mnt/$d; done
chroot /mnt /bin/sh /work
umount /mnt/proc /mnt/sys /mnt/dev /mnt && echo UNMOUNTED
`;

const PREPARE = `
export PATH=/bin
/bin/busybox --install -s /bin
`;

/** Answers what it printed, and the disk's image in `folder`. */
export async function bootFromXvda(
  name: string,
  on: string,
  work: string,
  folder: string,
  changes: Partial<RunSpec> = {},
): Promise<Booted & { readonly image: string }> {
  const found = await findKernel(name);
  const { takes } = findInterface(on).interface;
  const modules = await found.modules([...takes!.diskDrivers, ...takes!.nicDrivers, 'ext4']);
  const busybox = (await found.busybox()) ?? new Uint8Array();
  const root = join(folder, on);
  for (const directory of ['bin', 'proc', 'sys', 'dev', 'tmp'])
    mkdirSync(join(root, directory), { recursive: true });
  writeFileSync(join(root, 'bin/busybox'), busybox, { mode: 0o755 });
  symlinkSync('busybox', join(root, 'bin/sh'));
  writeFileSync(join(root, 'work'), PREPARE + work);
  const image = makeExt4(join(folder, `${on}.img`), MEBIBYTES, root);
  const file = openDiskFile(image, 'read-write');
  const disk = openDisk(file, 'read-write', image);
  try {
    const booted = await boot(found, on, {
      engine: 'jit',
      initrd: buildInitramfs({ busybox, script: FIRST, ...(modules && { modules }) }),
      fittings: { ...NO_FITTINGS, disks: [{ bus: 'virtio', disk }], nets: ['link'] },
      ...changes,
    });
    return { ...booted, image };
  } finally {
    file.close();
  }
}
