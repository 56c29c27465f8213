-- Rows for tests that only read, in addition to `world.sql`. They refer to no row of `world.sql`
-- except an agency. All ids are above 1000.

insert into users_user
  (id, password, is_superuser, is_staff, is_active, date_joined, username, first_name, last_name,
   email, display_first_name, display_last_name, is_aec)
values
  (1201, 'hash-1201', false, true, true, '2020-01-01', 'lin', 'Lin', 'Fox', 'lin@reads.test', 'Lin', 'Fox', false),
  (1202, 'hash-1202', false, true, true, '2020-01-01', 'max', 'Max', 'Gum', 'max@reads.test', 'Max', 'Gum', false),
  (1203, 'hash-1203', true, true, true, '2020-01-01', 'sol', 'Sol', 'Hay', 'sol@reads.test', 'Sol', 'Hay', false),
  (1204, 'hash-1204', false, false, true, '2020-01-01', 'oda', 'Oda', 'Ivy', 'oda@reads.test', 'Oda', 'Ivy', false),
  (1205, 'hash-1205', true, true, false, '2020-01-01', 'zed', 'Zed', 'Jut', 'zed@reads.test', 'Zed', 'Jut', false);

insert into agencies_affiliation (id, created_at, updated_at, name) values
  (1001, '2020-01-01', '2020-01-02', 'UWA'), (1002, '2020-01-01', '2020-01-01', 'Curtin 100%');

insert into agencies_division (id, created_at, updated_at, name, slug, director_id, approver_id) values
  (1003, '2020-01-01', '2020-01-01', 'Science', 's', 1201, null),
  (1004, '2020-01-01', '2020-01-01', 'Parks', 'p', null, null);

insert into agencies_division_directorate_email_list (id, division_id, user_id) values
  (1005, 1003, 1202), (1006, 1003, 1201);

insert into agencies_departmentalservice (id, created_at, updated_at, name, director_id) values
  (1007, '2020-01-01', '2020-01-01', 'Whales', 1202), (1008, '2020-01-01', '2020-01-01', 'Fire', null);

insert into agencies_businessarea
  (id, created_at, updated_at, agency_id, name, slug, division_id, published, is_active, leader_id,
   cost_center)
values
  (1009, '2020-01-01', '2020-01-01', 11, 'Zoology', 'z', 1003, true, true, 1202, 7),
  (1010, '2020-01-01', '2020-01-01', 11, 'Botany', null, null, false, false, 1202, null);

insert into agencies_agency (id, created_at, updated_at, name, is_active) values
  (1017, '2020-01-01', '2020-01-01', 'Zoo', true), (1018, '2020-01-01', '2020-01-01', 'Herbarium', true);

insert into medias_agencyimage (id, created_at, updated_at, file, size, agency_id) values
  (1011, '2020-01-01', '2020-01-01', 'agencies/1017.png', 1, 1017);

insert into locations_area (id, created_at, updated_at, name, area_type) values
  (1012, '2020-01-01', '2020-01-01', 'Wheatbelt', 'dbcaregion'),
  (1013, '2020-01-01', '2020-01-01', 'Blackwood', 'dbcadistrict'),
  (1014, '2020-01-01', '2020-01-01', 'Carnarvon', 'ibra'),
  (1015, '2020-01-01', '2020-01-01', 'Leeuwin', 'imcra'),
  (1016, '2020-01-01', '2020-01-01', 'Rangelands', 'nrm');

insert into users_userwork (id, created_at, updated_at, user_id, business_area_id, role) values
  (1221, '2020-01-01', '2020-01-01', 1201, 1009, 'Admin'),
  (1222, '2020-01-01', '2020-01-01', 1202, 1009, 'None');

insert into projects_project
  (id, created_at, updated_at, kind, status, year, number, title, business_area_id,
   deletion_requested, hidden_from_staff_profiles)
values
  (1251, '2020-01-01', '2020-01-01', 'science', 'active', 2020, 971, 'Quokkas', 1009, false, '{}'),
  (1252, '2020-01-01', '2020-01-01', 'science', 'active', 2020, 972, 'Quolls', null, false, '{}');

insert into projects_projectmember
  (id, created_at, updated_at, project_id, user_id, is_leader, role)
values
  (1253, '2020-01-01', '2020-01-01', 1251, 1201, true, 'supervising'),
  (1254, '2020-01-01', '2020-01-01', 1251, 1202, false, 'research'),
  (1256, '2020-01-01', '2020-01-01', 1252, 1202, false, 'research');

insert into documents_projectdocument
  (id, created_at, updated_at, project_id, kind, status, project_lead_approval_granted,
   business_area_lead_approval_granted, directorate_approval_granted, pdf_generation_in_progress)
values
  (1257, '2020-01-01', '2020-01-01', 1251, 'concept', 'approved', true, true, true, false),
  (1258, '2020-02-01', '2020-02-01', 1251, 'projectplan', 'new', false, false, false, false);

insert into adminoptions_admintask
  (id, created_at, updated_at, action, status, project_id, requester_id, primary_user_id,
   secondary_users, reason, end_date, notes)
values
  (1101, '2020-01-01', '2020-01-01', 'deleteproject', 'pending', 1251, 1202, null, null, 'Done', null, null),
  (1102, '2020-01-01', '2020-01-01', 'setcaretaker', 'pending', null, 1201, 1201, '[1202]', 'Leave', '2999-01-01', 'Far away'),
  (1103, '2020-01-02', '2020-01-01', 'setcaretaker', 'pending', null, 1203, 1202, '[1201]', null, '2020-06-01', null),
  (1104, '2020-01-01', '2020-01-01', 'setcaretaker', 'approved', null, 1201, 1201, '[1204]', null, null, null),
  (1105, '2020-01-01', '2020-01-01', 'mergeuser', 'pending', null, 1203, 1201, '[1202, 9999, "1201", null, 1.5]', null, null, null),
  (1106, '2020-01-01', '2020-01-01', 'setcaretaker', 'pending', null, 1203, null, '[1202]', null, null, null),
  (1107, '2020-01-03', '2020-01-01', 'setcaretaker', 'pending', null, 1203, 1203, '{"1202": 1202}', null, null, null),
  (1108, '2020-01-02', '2020-01-01', 'setcaretaker', 'pending', null, null, 1203, '[1202]', null, null, null);

insert into caretakers_caretaker
  (id, created_at, updated_at, user_id, caretaker_id, end_date, reason, notes)
values
  (1110, '2020-01-01', '2020-01-01', 1201, 1203, '2020-06-01', 'resignation', 'Long ago'),
  (1111, '2020-01-01', '2020-01-01', 1201, 1202, null, 'leave', 'Far away');

insert into medias_useravatar (id, created_at, updated_at, file, size, user_id) values
  (1112, '2020-01-01', '2020-01-01', 'user_avatars/1201.png', 5, 1201);
