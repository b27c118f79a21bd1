/**
 * `text` as one word of a command that is shown to be typed: a folder with a space in its name would be two. Single quotes
 * for a POSIX shell, in which nothing is special but their end; double ones on Windows, where no path has one in it.
 */
export function shellWord(text: string, windows = process.platform === 'win32'): string {
  if (windows) return /^[\w@%+=:,./\\~-]+$/.test(text) ? text : `"${text}"`
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`
}
