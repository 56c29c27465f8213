-- One user of each kind in docs/access.md with their rows, in addition to tests/routes/world.sql.

insert into users_user
  (id, password, is_superuser, is_staff, is_active, date_joined, username, first_name, last_name,
   email, display_first_name, display_last_name, is_aec)
select id, 'hash-' || id, false, id = 908, true, '2020-01-01', 'kind' || id, 'Kind', 'No. ' || id,
  'kind' || id || '@spms.test', 'Kind', 'No. ' || id, false
from generate_series(901, 908) as id;

-- Rows of the member and the leader.
insert into projects_project
  (id, created_at, updated_at, kind, status, year, number, title, deletion_requested,
   hidden_from_staff_profiles)
values (951, '2020-01-01', '2020-01-01', 'science', 'active', 2020, 951, 'Matrix', false, '{}');
insert into projects_projectmember
  (id, created_at, updated_at, project_id, user_id, is_leader, role)
values
  (956, '2020-01-01', '2020-01-01', 951, 902, false, 'research'),
  (957, '2020-01-01', '2020-01-01', 951, 903, true, 'supervising');
insert into projects_projectarea (id, created_at, updated_at, project_id, areas) values
  (952, '2020-01-01', '2020-01-01', 951, '{}');
insert into projects_projectdetail (id, created_at, updated_at, project_id) values
  (953, '2020-01-01', '2020-01-01', 951);
insert into projects_studentprojectdetails (id, project_id, level) values (954, 951, 'phd');
insert into projects_externalprojectdetails (id, project_id, budget) values (955, 951, '1');

-- Rows of the owner.
insert into users_userwork (id, created_at, updated_at, user_id, role) values
  (960, '2020-01-01', '2020-01-01', 904, 'None');
insert into users_publicstaffprofile
  (id, created_at, updated_at, user_id, is_hidden, about, expertise, public_email_on, custom_title_on)
values (961, '2020-01-01', '2020-01-01', 904, false, 'About', 'Expertise', false, false);
insert into users_employmententry (id, public_profile_id, position_title, start_year) values
  (962, 961, 'Keeper', 2010);
insert into users_educationentry
  (id, public_profile_id, qualification_name, end_year, institution, location)
values (963, 961, 'BSc', 2000, 'UWA', 'Perth');

insert into medias_useravatar (id, created_at, updated_at, user_id, file, size) values
  (964, '2020-01-01', '2020-01-01', 904, 'user_avatars/904.png', 1);

-- Rows of the covered user and the caretaker.
insert into caretakers_caretaker (id, created_at, updated_at, user_id, caretaker_id, end_date) values
  (971, '2020-01-01', '2020-01-01', 906, 907, '2990-01-01');

-- Requests of the requester.
insert into adminoptions_admintask
  (id, created_at, updated_at, action, status, project_id, requester_id, primary_user_id,
   secondary_users)
values
  (981, '2020-01-01', '2020-01-01', 'deleteproject', 'pending', 951, 905, null, null),
  (982, '2020-01-01', '2020-01-01', 'mergeuser', 'pending', null, 905, 4, '[1]'),
  (983, '2020-01-01', '2020-01-01', 'setcaretaker', 'pending', null, 905, 906, '[907]'),
  (984, '2020-01-01', '2020-01-01', 'setcaretaker', 'pending', null, 906, 906, '[907]');
