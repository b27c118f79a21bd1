// The page of one node: a client of its API like any other. No library, no build step; text from elsewhere only ever goes
// into the page as text.
const $ = (id) => document.getElementById(id)
const store = sessionStorage

const fragment = new URLSearchParams(location.hash.slice(1))
if (fragment.has('token')) {
  store.setItem('token', fragment.get('token'))
  // Out of the address bar, so that it is not in a screenshot or a bookmark.
  history.replaceState(null, '', location.pathname)
}

let folder = '/'
let listening

async function api(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { authorization: `Bearer ${store.getItem('token')}`, ...options.headers } })
  if (response.ok) return response
  const error = await response.json().catch(() => ({ message: response.statusText }))
  if (response.status === 401) lock(error.message)
  throw new Error(error.message)
}
const json = async (path, options) => (await api(path, options)).json()
const post = (path, body) => json(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const encoded = (path) => path.slice(1).split('/').map(encodeURIComponent).join('/')

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties)
  node.append(...children)
  return node
}

function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`
}

function ago(moment) {
  const seconds = Math.max(0, (Date.now() - moment) / 1000)
  if (seconds < 90) return seconds < 5 ? 'now' : `${Math.round(seconds)} s ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`
  return seconds < 129600 ? `${Math.round(seconds / 3600)} h ago` : new Date(moment).toLocaleDateString()
}

function lock(why) {
  $('open').hidden = true
  $('locked').hidden = false
  $('locked-why').textContent = store.getItem('token') ? why : ''
  store.removeItem('token')
}

function showState(state) {
  $('state').textContent = state
  $('state').className = `state ${state}`
}

function showStatus(status) {
  document.title = `${status.name} · mesh-node`
  $('name').textContent = status.name
  $('ids').textContent = `${status.region} · ${status.peerId} · mesh ${status.meshId.slice(0, 12)}… · ${status.version}`
  showState(status.state)
  $('problems').replaceChildren(...status.problems.map((text) => element('li', { textContent: text })))
  const { storage } = status
  const rest = Math.max(0, storage.usedBytes - storage.ownBytes - storage.othersBytes)
  $('bar').replaceChildren(...[['own', storage.ownBytes], ['others', storage.othersBytes], ['rest', rest]].filter(([, bytes]) => bytes > 0).map(([name, bytes]) => {
    const part = element('i', { className: name, title: `${name}: ${size(bytes)}` })
    part.style.width = `${Math.min(100, (bytes / storage.maxBytes) * 100)}%`
    return part
  }))
  $('storage').textContent = `${size(storage.usedBytes)} of ${size(storage.maxBytes)} used: ${size(storage.ownBytes)} own, ${size(storage.othersBytes)} for others, ${size(rest)} bookkeeping and space coming back. ${size(storage.freeDiskBytes)} free on the disk.`
  $('addresses').textContent = status.addresses.join('  ')
  $('inviting').hidden = !status.isAdmin
  $('not-admin').hidden = status.isAdmin
}

function showPeers(peers) {
  const rows = peers.map((peer) => element('li', {},
    element('span', {}, element('i', { className: `dot ${peer.state}`, title: peer.state }), peer.name || `…${peer.peerId.slice(-8)}`, element('span', { className: 'quiet', textContent: ` ${peer.region}` })),
    element('span', { className: 'quiet', textContent: peer.connected ? (peer.rttMs === null ? 'connected' : `${peer.rttMs.toFixed(1)} ms`) : `${peer.state}, seen ${ago(peer.lastSeen)}` })))
  $('peers').replaceChildren(...(rows.length > 0 ? rows : [element('li', { className: 'quiet', textContent: 'No other nodes yet: there is no second copy of anything.' })]))
}

function showFiles(entries) {
  const parts = folder.split('/').filter(Boolean)
  $('crumbs').replaceChildren(...['files', ...parts].flatMap((name, index) => [
    element('span', { className: 'link', textContent: name, onclick: () => open('/' + parts.slice(0, index).join('/')) }), ' / ']))
  $('files').replaceChildren(...entries.map((entry) => {
    const name = entry.path.slice(entry.path.lastIndexOf('/') + 1)
    const isFolder = entry.type === 'dir'
    const { have, wanted } = entry.replicas
    return element('tr', {},
      element('td', {}, element('span', { className: 'link', textContent: isFolder ? `${name}/` : name, title: entry.cid ?? '', onclick: () => (isFolder ? open(entry.path) : download(entry)) })),
      element('td', { className: 'number', textContent: isFolder ? '' : size(entry.size) }),
      element('td', { className: `number ${!isFolder && have < wanted ? 'few' : ''}`, textContent: isFolder ? '' : `${have}/${wanted}` }),
      element('td', { className: 'quiet', textContent: entry.modified === null ? '' : ago(entry.modified) }),
      element('td', {},
        element('button', { className: 'plain', textContent: 'download', onclick: () => download(entry) }),
        element('button', { className: 'plain', textContent: 'remove', onclick: () => remove(entry) })))
  }))
  if (entries.length === 0) $('files').append(element('tr', {}, element('td', { colSpan: 5, className: 'quiet', textContent: 'Nothing here yet.' })))
}

async function open(path) {
  folder = path
  await refreshFiles()
}

async function download(entry) {
  const path = `/api/v1/${entry.type === 'dir' ? 'folders' : 'files'}/${encoded(entry.path)}`
  try {
    const { url } = await post('/api/v1/tickets', { path })
    element('a', { href: url, download: '' }).click()
  } catch (error) {
    alert(error.message)
  }
}

async function remove(entry) {
  if (!confirm(`Remove ${entry.path}${entry.type === 'dir' ? ' and all that is in it' : ''} from the mesh?`)) return
  await api(`/api/v1/files/${encoded(entry.path)}${entry.type === 'dir' ? '?recursive=true' : ''}`, { method: 'DELETE' }).catch((error) => alert(error.message))
  await refreshFiles()
}

function upload(file) {
  const bar = element('progress', { max: file.size || 1, value: 0 })
  const label = element('span', { textContent: file.name })
  const row = element('div', { className: 'transfer' }, label, bar)
  $('transfers').append(row)
  const path = `${folder === '/' ? '' : folder}/${file.webkitRelativePath || file.name}`
  // XMLHttpRequest: fetch does not tell how far an upload is.
  return new Promise((resolve) => {
    const request = new XMLHttpRequest()
    request.open('PUT', `/api/v1/files/${encoded(path)}`)
    request.setRequestHeader('authorization', `Bearer ${store.getItem('token')}`)
    request.setRequestHeader('content-type', 'application/octet-stream')
    request.upload.onprogress = (event) => { bar.value = event.loaded }
    request.onloadend = () => {
      if (request.status === 201) row.remove()
      else {
        let why = 'the connection broke'
        try { why = JSON.parse(request.responseText).message } catch { /* not an answer of ours */ }
        bar.replaceWith(element('span', { className: 'problem', textContent: why }))
      }
      resolve()
    }
    request.send(file)
  })
}

async function uploadAll(files) {
  for (const file of files) await upload(file)
  await refreshFiles()
}

const refreshStatus = async () => showStatus(await json('/api/v1/status'))
const refreshPeers = async () => showPeers(await json('/api/v1/peers'))
async function refreshFiles() {
  try {
    showFiles(await json(`/api/v1/ls?path=${encodeURIComponent(folder)}`))
  } catch (error) {
    if (folder === '/') throw error
    await open('/')
  }
}

/** At most one refresh of a kind a second, however many events come. */
function soon(work) {
  let timer
  return () => { timer ??= setTimeout(() => { timer = undefined; work().catch(() => undefined) }, 1000) }
}
const filesSoon = soon(refreshFiles)
const peersSoon = soon(refreshPeers)
const statusSoon = soon(refreshStatus)

/** Server-sent events by fetch: EventSource cannot send the token. */
async function listen() {
  listening?.abort()
  listening = new AbortController()
  const { signal } = listening
  try {
    const reader = (await api('/api/v1/events', { signal })).body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      const events = (rest + value).split('\n\n')
      rest = events.pop()
      for (const event of events) {
        if (event.startsWith('event: file')) { filesSoon(); statusSoon() }
        else if (event.startsWith('event: peer')) { peersSoon(); statusSoon() }
        else if (event.startsWith('event: state')) showState(JSON.parse(event.slice(event.indexOf('data: ') + 6)).state)
      }
    }
  } catch { /* told below */ }
  if (signal.aborted || !store.getItem('token')) return
  showState('gone')
  setTimeout(begin, 3000)
}

async function begin() {
  if (!store.getItem('token')) return lock('')
  try {
    await Promise.all([refreshStatus(), refreshPeers(), refreshFiles()])
    $('locked').hidden = true
    $('open').hidden = false
    void listen()
  } catch {
    if (!store.getItem('token')) return
    showState('gone')
    setTimeout(begin, 3000)
  }
}

$('unlock').onsubmit = (event) => {
  event.preventDefault()
  store.setItem('token', $('token').value.trim())
  void begin()
}
$('invite').onclick = async () => {
  try {
    const { token } = await post('/api/v1/invites', { expiresMs: 86400000 })
    $('invite-command').textContent = `mesh-node start --join ${token}`
    $('invitation').hidden = false
  } catch (error) {
    alert(error.message)
  }
}
$('copy').onclick = () => navigator.clipboard.writeText($('invite-command').textContent)
$('chosen').onchange = (event) => uploadAll([...event.target.files])
addEventListener('dragover', (event) => { event.preventDefault(); document.body.classList.add('dragging') })
addEventListener('dragleave', (event) => { if (event.relatedTarget === null) document.body.classList.remove('dragging') })
addEventListener('drop', (event) => {
  event.preventDefault()
  document.body.classList.remove('dragging')
  // A browser hands a folder over as a file that cannot be read.
  const folders = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory).map((entry) => entry.name)
  if (folders.length > 0) alert(`Folders are put on the command line: mesh-node put ${folders[0]}`)
  void uploadAll([...event.dataTransfer.files].filter((file) => !folders.includes(file.name)))
})
setInterval(() => { if (!$('open').hidden && !document.hidden) void Promise.all([refreshStatus(), refreshPeers()]).catch(() => undefined) }, 10000)
void begin()
