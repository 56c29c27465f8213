import { expect } from 'chai'
import { z } from 'zod'
import { staffProfileCheck } from '../../shared/shapes/staff-profile-check.ts'
import { privateStaffProfile, staffProfile } from '../../shared/shapes/staff-profile.ts'
import { me, privateUser, staffMark, user } from '../../shared/shapes/user.ts'
import { describeOnBothTables } from '../support/both-tables.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const TOO_BIG = '9223372036854775808'

describeOnBothTables('reads of users over HTTP', (api) => {
  const get = (path: string, as?: number) => api.send('GET', `users/${path}`, as ? { as } : {})

  describe('GET /users/:id', () => {
    it('shows a user to every user, without the time of the last log-in [T12]', async () => {
      await api.db.updateTable('users_user').set({ last_login: new Date() }).execute()
      const { status, headers, body } = await get('1', OUT)
      expect(status).to.equal(200)
      expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=off')
      const shown = user.parse(body)
      expect(shown).to.deep.include({
        id: 1,
        username: 'lea',
        email: 'lea@spms.test',
        role: 'Admin',
        branch: { id: 21, name: 'Perth', agency: 11, manager: 1 },
        about: 'About Lea',
        expertise: 'Orchids',
        date_joined: '2020-01-01T08:00:00+08:00',
        business_areas_led: [],
        groups: [],
      })
      expect(shown.caretakers.map(({ id, image }) => ({ id, image }))).to.deep.equal([
        { id: MEL, image: '/files/user_avatars/mel.png' },
      ])
    })

    it('shows the users for whom a caretaker acts', async () => {
      const { caretaking_for } = user.parse((await get('2', OUT)).body)
      expect(caretaking_for).to.deep.equal([
        {
          id: LEA,
          caretaker_obj_id: 64,
          display_first_name: 'Lea',
          display_last_name: 'Ash',
          is_superuser: false,
          email: 'lea@spms.test',
          image: null,
          end_date: null,
          caretakers: [],
          caretaking_for: [],
        },
      ])
    })

    it('shows the texts of a hidden profile only to its owner and superusers', async () => {
      const hidden = { about: '', expertise: '' }
      const whole = { about: 'About Mel', expertise: 'Moss' }
      for (const [as, shown] of [
        [LEA, hidden],
        [OUT, hidden],
        [MEL, whole],
        [SUE, whole],
      ] as const) {
        expect(eitherUser.parse((await get('2', as)).body)).to.include(shown)
      }
      await api.db.updateTable('users_publicstaffprofile').set({ is_hidden: false }).execute()
      expect((await get('2', OUT)).body).to.include(whole)
      // The profile of an inactive user is hidden from other users too.
      await api.db
        .updateTable('users_user')
        .set({ is_active: false })
        .where('id', '=', String(MEL))
        .execute()
      expect((await get('2', OUT)).body).to.include(hidden)
      expect((await get('2', SUE)).body).to.include(whole)
    })

    it('shows title, phone and fax only to the user and superusers', async () => {
      await api.db
        .updateTable('contacts_usercontact')
        .set({ fax: '98' })
        .where('user_id', '=', String(SUE))
        .execute()
      for (const as of [LEA, OUT]) user.parse((await get('3', as)).body)
      const shown = privateUser.parse((await get('3', SUE)).body)
      expect(shown).to.include({ title: 'dr', phone: '1', fax: '98' })
      const none = { title: '', phone: '', fax: '' }
      for (const as of [OUT, SUE]) {
        expect(privateUser.parse((await get('4', as)).body)).to.include(none)
      }
    })

    it('shows default values for a user without other records', async () => {
      await api.db.deleteFrom('caretakers_caretaker').where('caretaker_id', '=', `${OUT}`).execute()
      const shown = user.parse((await get('004', LEA)).body)
      expect(shown).to.deep.include({
        id: OUT,
        image: null,
        role: null,
        branch: null,
        business_area: null,
        affiliation: null,
        caretakers: [],
        caretaking_for: [],
        about: '',
        expertise: '',
      })
    })

    it('answers 404 for a user that does not exist [T21]', async () => {
      for (const [id, detail] of [
        ['999', 'User 999 not found'],
        [TOO_BIG, `User ${TOO_BIG} not found`],
        ['x', 'Not found.'],
      ] as const) {
        const { status, body } = await get(id, LEA)
        expect(status).to.equal(404)
        expect(body).to.include({ detail })
      }
    })
  })

  describe('GET /users/me', () => {
    it('shows the current user [T6]', async () => {
      expect(me.parse((await get('me', LEA)).body)).to.deep.include({
        id: LEA,
        username: 'lea',
        title: 'dr',
        phone: '0123',
        fax: '',
        staff_profile_id: 41,
        staff_profile_hidden: false,
        public_email: 'lea@public.test',
        public_email_on: true,
        custom_title: '',
        custom_title_on: false,
      })
      expect(me.parse((await get('me', OUT)).body)).to.deep.include({
        id: OUT,
        username: 'out',
        title: '',
        phone: '',
        fax: '',
        staff_profile_id: null,
        staff_profile_hidden: false,
        public_email: '',
        public_email_on: false,
        agency: null,
      })
    })
  })

  it('never return a password [T22]', async () => {
    for (const path of ['1', 'me', 'is_staff/1', 'mypublicprofile']) {
      const { status, body } = await get(path, LEA)
      expect(status).to.equal(200)
      expect(JSON.stringify(body)).to.not.match(/password|hash-/)
    }
  })

  describe('GET /users/is_staff/:id', () => {
    it('returns whether a user is staff [T17]', async () => {
      await api.db
        .updateTable('users_user')
        .set({ is_staff: false })
        .where('id', '=', '4')
        .execute()
      for (const [id, is_staff] of [
        ['1', true],
        ['4', false],
      ] as const) {
        const { status, headers, body } = await get(`is_staff/${id}`, MEL)
        expect(status).to.equal(200)
        expect(headers['cache-control']).to.equal('private, no-store')
        expect(staffMark.parse(body)).to.deep.equal({ is_staff })
      }
    })

    it('answers 404 for a user that does not exist [T17, 404 instead of 400]', async () => {
      const { status, body } = await get('is_staff/999', MEL)
      expect(status).to.equal(404)
      expect(body).to.include({ detail: 'User 999 not found' })
    })
  })

  describe('GET /users/mypublicprofile', () => {
    it('shows all fields of the profile, also while it is hidden [T34]', async () => {
      const { status, headers, body } = await get('mypublicprofile', MEL)
      expect(status).to.equal(200)
      expect(headers['cache-control']).to.equal('private, no-store')
      expect(privateStaffProfile.parse(body)).to.deep.include({
        id: 42,
        is_hidden: true,
        custom_title: 'Warden',
        custom_title_on: true,
      })
    })

    it('answers 404 without a profile', async () => {
      const { status, body } = await get('mypublicprofile', OUT)
      expect(status).to.equal(404)
      expect(body).to.include({ detail: 'No staff profile found' })
    })
  })

  describe('GET /users/:id/check_staff_profile', () => {
    const check = (query: string, as = OUT) => get(`9/check_staff_profile${query}`, as)

    it('returns whether the user has a staff profile [T40]', async () => {
      const { status, headers, body } = await check('?user_id=1')
      expect(status).to.equal(200)
      expect(headers['cache-control']).to.equal('private, no-store')
      expect(body).to.deep.include({ exists: true, is_active: true })
      expect(staffProfile.parse(profileIn(body)).id).to.equal(41)
      for (const id of ['4', '999']) {
        const none = await check(`?user_id=${id}`)
        expect(none.body).to.deep.equal({ exists: false, is_active: false, profile: null })
      }
    })

    it('shows a hidden profile only to its owner and superusers', async () => {
      const { body } = await check('?user_id=2', LEA)
      expect(body).to.deep.equal({ exists: false, is_active: false, profile: null })
      for (const as of [MEL, SUE]) {
        const own = await check('?user_id=2', as)
        expect(privateStaffProfile.parse(profileIn(own.body))).to.include({
          id: 42,
          is_hidden: true,
        })
      }
    })

    it('requires the query parameter user_id [T40]', async () => {
      const { status, body } = await check('')
      expect(status).to.equal(400)
      expect(body).to.include({ detail: 'User ID required' })
      expect((await check('?user_id=me')).status).to.equal(400)
    })
  })

  it('require a session, answer HEAD, and return the allowed methods with 405', async () => {
    for (const path of [
      '1',
      'me',
      'is_staff/1',
      'mypublicprofile',
      '9/check_staff_profile?user_id=1',
    ]) {
      expect((await get(path)).status, path).to.equal(401)
      expect((await get(path, OLD)).status, path).to.equal(401)
      const head = await api.send('HEAD', `users/${path}`, { as: LEA })
      expect(head, path).to.include({ status: 200, body: '' })
      const patch = await api.send('PATCH', `users/${path}`, { as: LEA, body: {} })
      expect(patch.status, path).to.equal(405)
      expect(patch.headers['allow'], path).to.include('GET').and.include('HEAD')
    }
  })
})

const eitherUser = z.union([privateUser, user])

const profileIn = (body: unknown) => staffProfileCheck.parse(body).profile
