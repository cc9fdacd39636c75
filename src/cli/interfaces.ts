// What `--on` means: the name of an interface, or a file with one of the user's own.

import { loadInterface, looksLikePath } from '../host/node/index.ts';
import { findInterface, type InterfaceChoice } from '../lab/index.ts';

export const chosenInterface = async (name: string): Promise<InterfaceChoice> =>
  looksLikePath(name) ? loadInterface(name) : findInterface(name);
