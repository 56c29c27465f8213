-- A small data set with many references, so that writers contend for the same rows. All names are
-- unique versions: `v` and seven digits.

create sequence checker.first_version;
create function checker.version() returns text language sql as
  $$ select 'v' || lpad(nextval('checker.first_version')::text, 7, '0') $$;

-- User 1 is a superuser. Users 7 and 8 have no public profile.
insert into users_user
  (id, password, is_superuser, is_staff, username, first_name, last_name, email,
   display_first_name, display_last_name)
select n, 'hash-' || n, n = 1, true, 'user' || n, 'First', 'Last', 'user' || n || '@spms.test',
       checker.version(), 'Last' || n
from generate_series(1, 8) n;

insert into agencies_agency (id, name) values (1, 'First'), (2, 'Second');
insert into agencies_branch (id, agency_id, name)
select n, 1 + n % 2, checker.version() from generate_series(1, 6) n;
insert into agencies_affiliation (id, name) select n, checker.version() from generate_series(1, 4) n;
-- Business areas have no leader, so that a user shows in an entry for only one reason.
insert into agencies_businessarea (id, agency_id, name, is_active)
select n, 1, checker.version(), true from generate_series(1, 4) n;
insert into locations_area (id, name, area_type)
select n, checker.version(), 'dbcaregion' from generate_series(1, 5) n;

insert into users_userwork (id, user_id, branch_id, business_area_id, affiliation_id, role)
select n, n, 1 + n % 6, 1 + n % 4, 1 + n % 4, checker.version() from generate_series(1, 8) n;
insert into users_userprofile (id, user_id, title)
select n, n, checker.version() from generate_series(1, 8) n;
insert into contacts_usercontact (id, user_id, phone)
select n, n, checker.version() from generate_series(1, 8) n;

insert into users_publicstaffprofile (id, user_id, about, expertise)
select n, n, 'About', checker.version() from generate_series(1, 6) n;
insert into users_keywordtag (id, name) select n, checker.version() from generate_series(1, 6) n;
insert into users_publicstaffprofile_keyword_tags (publicstaffprofile_id, keywordtag_id)
select p, t from generate_series(1, 6) p, generate_series(1, 6) t where (p + t) % 2 = 0;
insert into users_employmententry (id, public_profile_id, position_title, start_year)
select n, 1 + n % 6, checker.version(), 2000 + n from generate_series(1, 18) n;
insert into users_educationentry
  (id, public_profile_id, qualification_name, end_year, institution, location)
select n, 1 + n % 6, checker.version(), 2000 + n, 'Institution', 'Perth' from generate_series(1, 12) n;

insert into projects_project (id, kind, status, year, number, title, business_area_id)
select n, 'science', 'active', 2020, n, checker.version(), 1 + n % 4 from generate_series(1, 6) n;
insert into projects_projectmember (id, project_id, user_id, is_leader, role, position)
select n, 1 + n % 6, 1 + n % 8, n <= 6, checker.version(), n from generate_series(1, 18) n;
insert into projects_projectarea (id, project_id, areas)
select n, n, array[1 + n % 5, 1 + (n + 1) % 5] from generate_series(1, 6) n;

-- Documents that wait for the members of their project, and a request that user 1 may decide.
insert into documents_projectdocument (id, project_id, kind, status)
select n, n, 'concept', 'new' from generate_series(1, 6) n;
insert into adminoptions_admintask (id, action, status, requester_id, primary_user_id, secondary_users)
values (1, 'mergeuser', 'pending', 2, 3, '[4, 5]');

-- The API and some transactions insert rows without an id, which must not have one of the ids above.
select setval(pg_get_serial_sequence(name, 'id'), 1000) from unnest(array[
  'documents_projectdocument', 'projects_project', 'projects_projectarea', 'projects_projectmember',
  'users_employmententry'
]) as inserted (name);
