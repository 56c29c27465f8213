// Sends the requests of the SPMS front end in its order, and shows the fields that it reads. `data-shown` of the
// body is the path of the view once all of its answers and pictures are shown.

const { body } = document
const [nav, main] = ['nav', 'main'].map((name) => document.querySelector(name))

/** What the front end loads before its first view. */
let started = { me: undefined, branches: [], businessAreas: [] }

const VIEWS = [
  [/^\/$/, showDashboard],
  [/^\/users$/, listUsers],
  [/^\/users\/(\d+)$/, showUser],
  [/^\/profile$/, editProfile],
  [/^\/projects$/, listProjects],
  [/^\/projects\/new$/, createProject],
  [/^\/projects\/(\d+)$/, showProject],
]

const cookie = (name) => new RegExp(`(?:^|; )${name}=([^;]+)`).exec(document.cookie)?.[1]

/** Sends a request, and returns its answer. Rejects with the text that the front end shows. */
async function send(method, path, content) {
  const isForm = content instanceof FormData
  const response = await fetch(`/api/v1/${path}`, {
    method,
    headers: {
      'X-CSRFToken': cookie('spmscsrf') ?? '',
      ...(!isForm && content && { 'Content-Type': 'application/json' }),
    },
    ...(content && { body: isForm ? content : JSON.stringify(content) }),
  })
  const text = await response.text()
  const answer = text && JSON.parse(text)
  if (response.ok) return answer
  // The front end logs the user out after any 401 or 403.
  if ([401, 403].includes(response.status)) document.cookie = 'spmscsrf=; path=/; max-age=0'
  throw new Error(answer.detail ?? answer.non_field_errors?.[0] ?? Object.values(answer)[0][0])
}

const get = (path) => send('GET', path)

/** Returns a path with the parameters that have a value. */
const withQuery = (path, parameters) =>
  `${path}?${new URLSearchParams([...new URLSearchParams(parameters)].filter(([, value]) => value))}`

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children.flat(2).filter((child) => child != null))
  return made
}

/** A text with a name by which a test finds it. */
function field(name, text) {
  const made = element('p', { textContent: text ?? '' })
  made.dataset.field = name
  return made
}

const link = (href, text) => element('a', { href, textContent: text })
const picture = (src) => (src ? element('img', { src, alt: '' }) : null)
const list = (name, items) => {
  const made = element(
    'ul',
    {},
    items.map((item) => element('li', {}, item)),
  )
  made.dataset.list = name
  return made
}

/** A control with a label, which contains no texts of the control. */
const labelled = (label, control) => [
  element('label', { htmlFor: control.name, textContent: label }),
  Object.assign(control, { id: control.name }),
]

const input = (label, name, properties) =>
  labelled(label, element('input', { name, ...properties }))

/** A choice of pairs of value and text; by default it has no value. */
const select = (label, name, options, properties) =>
  labelled(
    label,
    element(
      'select',
      { name, ...properties },
      [['', ''], ...options].map(([value, text]) =>
        element('option', { value, textContent: text }),
      ),
    ),
  )

const byName = (rows) => rows.map(({ id, name }) => [id, name])

/** A form that sends its fields by `act`. */
const form = (label, act, ...controls) =>
  element(
    'form',
    {
      onsubmit(event) {
        event.preventDefault()
        void attempt(() => act(new FormData(event.target)))
      },
    },
    controls,
    element('button', { textContent: label }),
  )

/** A form that loads the same path with its fields as parameters. */
const filters = (...controls) =>
  element('form', {}, controls, element('button', { textContent: 'Filter' }))

const nameOf = ({ display_first_name: first, display_last_name: last }) => `${first} ${last}`

async function showDashboard() {
  const me = await get('users/me')
  const [tasks, endorsements, documents, projects, covered] = await Promise.all([
    get('adminoptions/tasks'),
    get('documents/endorsements/pendingmyaction'),
    get('documents/projectdocuments/pendingmyaction'),
    get('projects/mine'),
    me.caretaking_for.length > 0 ? get(`caretakers/tasks/${me.id}`) : { all: [] },
  ])
  const newest = projects.toSorted((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at))
  return [
    element('h1', { textContent: `Hello, ${me.display_first_name}` }),
    list(
      'tasks',
      tasks.map(({ action, requester, primary_user: primary, project }) => [
        `${action} by ${nameOf(requester)}: ${project?.title ?? nameOf(primary)}`,
        picture(requester.image?.file),
      ]),
    ),
    list(
      'endorsements',
      endorsements.aec.map(({ project_plan: plan }) => plan.document.project.title),
    ),
    list(
      'documents',
      documents.all.map(({ kind, status, project }) => `${kind} (${status}): ${project.title}`),
    ),
    list(
      'covered',
      covered.all.map(({ kind, for_user: user }) => `${kind} for ${user && nameOf(user)}`),
    ),
    list(
      'projects',
      newest.map(({ id, title, tag, role, status, business_area: area, image }) => [
        link(`/projects/${id}`, title),
        ` ${tag} ${role} ${status} ${area?.name ?? ''}`,
        picture(image?.file),
      ]),
    ),
  ]
}

async function listUsers() {
  const parameters = location.search || 'only_staff=true'
  const { users, total_results: total } = await get(
    withQuery('users/list', `page=1&${parameters.replace('?', '')}`),
  )
  const only = (label, name) => input(label, name, { type: 'checkbox', value: 'true' })
  return [
    filters(
      input('Search', 'search'),
      only('Only staff', 'only_staff'),
      only('Only external', 'only_external'),
      only('Only superusers', 'only_superuser'),
      only('Only leaders', 'only_ba_lead'),
      select('Business area', 'businessArea', byName(started.businessAreas)),
    ),
    field('total', total),
    list(
      'users',
      users.map(({ id, name, email, is_staff, role, branch, business_area: area, image }) => [
        link(`/users/${id}`, name),
        ` ${is_staff ? 'Staff' : 'External'} ${email ?? ''} ${role ?? ''}`,
        ` ${branch?.name ?? ''} ${area?.name ?? ''}`,
        picture(image),
      ]),
    ),
  ]
}

async function showUser(id) {
  const [user, projects, profile] = await Promise.all([
    get(`users/${id}`),
    get(`users/${id}/projects`),
    get(`users/${id}/check_staff_profile?user_id=${id}`),
  ])
  return [
    field('name', nameOf(user)),
    picture(user.image),
    field('state', user.is_active ? 'Active' : 'Inactive'),
    field('branch', user.branch?.name),
    field('business area', user.business_area?.name),
    field('about', user.about),
    field('expertise', user.expertise),
    field('keywords', profile.profile?.keywords.map(({ name }) => name).join(', ')),
    list('caretakers', user.caretakers.map(nameOf)),
    list(
      'projects',
      projects.map(({ id: project, title }) => link(`/projects/${project}`, title)),
    ),
  ]
}

async function editProfile() {
  const [me, care] = await Promise.all([get('users/me'), get('caretakers/check')])
  return [
    picture(me.image),
    field('caretaker', care.caretaker_object && nameOf(care.caretaker_object.caretaker)),
    form(
      'Save profile',
      async (sent) => {
        sent.append('userPk', me.id)
        if (sent.get('image').size === 0) sent.delete('image')
        await send('PUT', `users/${me.id}/profile`, sent)
      },
      input('About', 'about', { value: me.about }),
      input('Expertise', 'expertise', { value: me.expertise }),
      input('Picture', 'image', { type: 'file' }),
    ),
    form(
      'Save details',
      (sent) => send('PUT', `users/${me.id}/pi`, Object.fromEntries(sent)),
      input('Title', 'title', { value: me.title }),
      input('Phone', 'phone', { value: me.phone }),
      input('Fax', 'fax', { value: me.fax }),
    ),
    form(
      'Save membership',
      (sent) => {
        const chosen = [...sent].map(([name, value]) => [name, value === '' ? null : Number(value)])
        return send('PUT', `users/${me.id}/membership`, Object.fromEntries(chosen))
      },
      select('Branch', 'branch', byName(started.branches)),
      select('Business area', 'business_area', byName(started.businessAreas)),
    ),
    form('Remove picture', () => send('POST', `users/${me.id}/remove_avatar`)),
    field('branch', me.branch?.name),
    field('phone', me.phone),
  ]
}

async function listProjects() {
  const [{ projects, total_results: total }, years] = await Promise.all([
    get(withQuery('projects/list', `page=1&${location.search.replace('?', '')}`)),
    get('projects/listofyears'),
  ])
  const choice = (values) => values.map((value) => [value, value])
  return [
    filters(
      input('Search', 'searchTerm'),
      select('Business area', 'businessarea', byName(started.businessAreas)),
      select('Status', 'projectstatus', choice(['new', 'active', 'completed', 'unknown'])),
      select('Kind', 'projectkind', choice(['science', 'student', 'external', 'core_function'])),
      select('Year', 'year', choice(years)),
      input('Only active', 'only_active', { type: 'checkbox', value: 'true' }),
      input('Only inactive', 'only_inactive', { type: 'checkbox', value: 'true' }),
    ),
    field('total', total),
    list(
      'projects',
      projects.map(({ id, title, kind, status, year, business_area: area, image }) => [
        link(`/projects/${id}`, title),
        ` ${kind} ${status} ${year} ${area?.name ?? ''}`,
        picture(image?.file),
      ]),
    ),
  ]
}

async function showProject(id) {
  const [{ project, details, documents, members }, team] = await Promise.all([
    get(`projects/${id}`),
    get(`projects/${id}/team`),
  ])
  return [
    field('title', project.title),
    picture(project.image?.file),
    field('kind', project.kind),
    field('description', project.description),
    field('keywords', project.keywords),
    field('dates', `${project.start_date} to ${project.end_date}`),
    field('business area', project.business_area?.name),
    field('service', details.base?.service?.name),
    field('organisation', details.student.organisation),
    field('budget', details.external.budget),
    field('concept plan', documents.concept_plan?.status),
    list(
      'areas',
      project.areas.map(({ name }) => name),
    ),
    list(
      'members',
      (members ?? []).map(({ user, role }) => [
        link(`/users/${user.id}`, nameOf(user)),
        ` ${role} ${user.caretakers.map(nameOf).join()}`,
        // The detail of a project has no pictures of members. The list of the team has them.
        picture(team.find((member) => member.user.id === user.id)?.user.image),
      ]),
    ),
  ]
}

async function createProject() {
  const { me, businessAreas } = started
  const [services, areas, affiliations, staff] = await Promise.all([
    get('agencies/services'),
    get('locations/list'),
    get('agencies/affiliations'),
    get('users/list?page=1&only_staff=true'),
  ])
  const people = [[me.id, nameOf(me)], ...byName(staff.users)]
  return form(
    'Create project',
    async (sent) => {
      for (const [name, value] of [...sent]) if (value === '') sent.delete(name)
      if (sent.get('imageData').size === 0) sent.delete('imageData')
      sent.set('creator', me.id)
      sent.set('year', new Date().getFullYear())
      sent.set('keywords', JSON.stringify(sent.get('keywords').split(', ')))
      for (const name of ['startDate', 'endDate']) {
        sent.set(name, new Date(`${sent.get(name)}T00:00`).toISOString())
      }
      const { id } = await send('POST', 'projects/list', sent)
      history.pushState({}, '', `/projects/${id}`)
    },
    select(
      'Kind',
      'kind',
      ['science', 'student', 'external', 'core_function'].map((kind) => [kind, kind]),
    ),
    input('Title', 'title'),
    input('Description', 'description'),
    input('Keywords', 'keywords'),
    select('Business area', 'businessArea', byName(businessAreas)),
    select('Service', 'departmentalService', byName(services)),
    select('Leader', 'projectLead', people),
    select('Data custodian', 'dataCustodian', people),
    input('Start', 'startDate', { type: 'date' }),
    input('End', 'endDate', { type: 'date' }),
    select('Areas', 'locations', byName(areas), { multiple: true }),
    input('Photo', 'imageData', { type: 'file' }),
    select(
      'Organisation',
      'organisation',
      affiliations.map(({ name }) => [name, name]),
    ),
    select(
      'Level',
      'level',
      ['phd', 'msc', 'honours'].map((level) => [level, level]),
    ),
    input('Budget', 'budget'),
    input('Aims', 'aims'),
    input('External description', 'externalDescription'),
    input('Collaboration with', 'collaborationWith'),
  )
}

function logIn() {
  return form(
    'Log in',
    async (sent) => {
      const answer = await send('POST', 'users/log-in', Object.fromEntries(sent))
      if (!answer.ok) throw new Error(answer.error)
    },
    input('User name', 'username'),
    input('Password', 'password', { type: 'password' }),
  )
}

/** Shows the view of the path, or the log-in form without a session. */
async function show() {
  nav.replaceChildren()
  main.replaceChildren()
  if (cookie('spmscsrf') === undefined) return finish('/log-in', logIn())
  const me = await get('users/me')
  const [branches, businessAreas] = await Promise.all([
    get('agencies/branches'),
    get('agencies/business_areas'),
  ])
  started = { me, branches, businessAreas }
  nav.append(form('Log out', () => send('POST', 'users/log-out')))
  for (const [pattern, view] of VIEWS) {
    const match = pattern.exec(location.pathname)
    if (match) return finish(location.pathname, await view(match[1]))
  }
}

async function finish(path, content) {
  main.append(...[content].flat().filter((node) => node !== null))
  await Promise.all(
    [...document.images].map(async (image) => {
      await image.decode().catch(() => Promise.reject(new Error(`cannot draw ${image.src}`)))
    }),
  )
  body.dataset.shown = path
}

/** Runs an action and shows the view again. After an error it shows the error. */
async function attempt(action) {
  try {
    await action?.()
    await show()
  } catch (error) {
    main.append(element('p', { role: 'alert', textContent: error.message }))
    if (cookie('spmscsrf') === undefined)
      await finish('/log-in', main.querySelector('form') ?? logIn())
    else body.dataset.shown = 'error'
  }
}

addEventListener('submit', () => delete body.dataset.shown, true)
await attempt()
