// ext4 file systems in image files: made, read and checked on the host without mounting.

import { closeSync, copyFileSync, openSync, truncateSync } from 'node:fs';
import { runTool } from './host-tools.ts';

/** An ext4 file system in an image of its own, with what is in `folder`. */
export function makeExt4(path: string, mebibytes: number, folder?: string): string {
  closeSync(openSync(path, 'w'));
  truncateSync(path, mebibytes * 2 ** 20);
  runTool('mke2fs', ['-q', '-t', 'ext4', ...(folder ? ['-d', folder] : []), path]);
  return path;
}

/** Reads a file of an image without mounting it. */
export function readFromExt4(image: string, path: string): string {
  return runTool('debugfs', ['-R', `cat ${path}`, image]);
}

/** Throws if the file system is not clean. */
export function checkExt4(image: string): void {
  const copy = `${image}.checked`; // fsck -n reads only, but a file system that is in order must be so for everybody.
  copyFileSync(image, copy);
  runTool('fsck.ext4', ['-fn', copy]);
}
