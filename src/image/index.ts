// The door of the image layer: kernels, packages and archives as files.

export { type ArMember, isAr, readAr } from './archive/ar.ts';
export { type CpioEntry, readCpio, writeCpio } from './archive/cpio.ts';
export { readTar, type TarEntry } from './archive/tar.ts';
export { findBanner } from './banner.ts';
export { asciiText, utf8Bytes, utf8Text } from './bytes.ts';
export {
  type BzImage,
  isBzImage,
  parseBzImage,
  readHeader,
  type SetupHeader,
  unpackVmlinux,
} from './bzimage.ts';
export { crc32 } from './codec/crc.ts';
export { CODECS, type Codec, detect } from './codec/detect.ts';
export { packGzip } from './codec/gzip.ts';
export { type DebPackage, isDeb, openDeb, parseControl } from './deb.ts';
export {
  type ElfFile,
  type ElfNote,
  type ElfSection,
  type ElfSegment,
  type ElfSymbol,
  elfNotes,
  elfSymbols,
  isElf,
  type LoadSegment,
  loadSegments,
  parseElf,
  pvhEntry,
  sectionBytes,
  XEN_ELFNOTE_PHYS32_ENTRY,
  xenNoteValue,
} from './elf.ts';
export { buildInitramfs, INIT_UP, type InitramfsFile, type InitramfsOptions } from './initramfs.ts';
export { type KernelImage, openKernel, parseConfig } from './kernel.ts';
export { collectModules, type ModuleSet, NO_MODULES } from './modules.ts';
export {
  type MultibootHeader,
  type MultibootLoad,
  multibootHeader,
  multibootLoad,
} from './multiboot.ts';
export { ORC_REG, ORC_TYPE, type OrcEntry, type OrcTable, orcTable } from './orc.ts';
export {
  imageSymbols,
  readSymbols,
  type SymbolPlace,
  type SymbolTable,
  symbolTable,
} from './symbols.ts';
