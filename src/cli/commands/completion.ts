import type { Command } from 'commander'
import { CliError } from '../errors.js'
import type { Register } from '../register.js'

interface Node {
  words: string[]
  children: Node[]
  options: string[]
}

/** Scripts made from the commands themselves, so that they never lag behind. */
export function completionCommand(register: Register, program: () => Command): void {
  register('completion <shell>', 'a completion script for bash, zsh or fish', () => undefined, async (context, [shell = '']) => {
    const tree = treeOf(program(), [])
    const script = { bash: bash, zsh: zsh, fish: fish }[shell]
    if (script === undefined) throw new CliError('USAGE', `there is a completion for bash, zsh and fish, not for "${shell}"`)
    context.write(script(tree))
  })
}

function treeOf(command: Command, words: string[]): Node {
  return {
    words,
    options: command.options.map((option) => option.long ?? option.short ?? ''),
    children: command.commands.map((child) => treeOf(child, [...words, child.name()])),
  }
}

function flatten(node: Node): Node[] {
  return [node, ...node.children.flatMap(flatten)]
}

function cases(tree: Node): string {
  return flatten(tree)
    .map((node) => `    "${node.words.join(' ')}") words="${[...node.children.map((child) => child.words.at(-1) ?? ''), ...node.options].join(' ')}" ;;`)
    .join('\n')
}

function bash(tree: Node): string {
  return `# mesh-node completion for bash: eval "$(mesh-node completion bash)"
_mesh_node() {
  local word path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in -*) continue ;; esac
    case " ${flatten(tree).filter((node) => node.words.length > 0).map((node) => node.words.join('_')).join(' ')} " in
      *" \${path:+\${path// /_}_}$word "*) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases(tree)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}") $(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o filenames -F _mesh_node mesh-node
`
}

function zsh(tree: Node): string {
  return `#compdef mesh-node
# mesh-node completion for zsh: eval "$(mesh-node completion zsh)"
autoload -U +X bashcompinit && bashcompinit
${bash(tree)}`
}

function fish(tree: Node): string {
  const lines = ['# mesh-node completion for fish: mesh-node completion fish | source']
  for (const node of flatten(tree)) {
    const seen = node.words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
    const rest = node.children.map((child) => child.words.at(-1) ?? '')
    const condition = node.words.length === 0 ? '__fish_use_subcommand' : rest.length === 0 ? seen : `${seen}; and not __fish_seen_subcommand_from ${rest.join(' ')}`
    if (rest.length > 0) lines.push(`complete -c mesh-node -n '${condition}' -f -a '${rest.join(' ')}'`)
    for (const option of node.options) {
      if (option.startsWith('--')) lines.push(`complete -c mesh-node -n '${node.words.length === 0 ? 'true' : seen}' -l ${option.slice(2)}`)
    }
  }
  return `${[...new Set(lines)].join('\n')}\n`
}
