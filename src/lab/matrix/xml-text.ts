// Text as XML and HTML may hold it.

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Without control characters but newline and tab: XML 1.0 2.2 has no others, nor halves of surrogate pairs. */
export function xmlText(text: string): string {
  return text
    .replaceAll('\r', '')
    .replace(/[^\t\n\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"]/g, (letter) => ENTITIES[letter] ?? letter);
}

/** In an attribute a newline would become a space: XML 1.0 3.3.3. */
export const xmlAttribute = (text: string): string =>
  xmlText(text).replaceAll('\n', '&#10;').replaceAll('\t', '&#9;');
