-- Twenty users, twenty staff profiles and twenty projects, linked in every way that rules follow.
-- Ids of different tables differ, so a rule with a wrong column names an entry that does not exist.
-- User n has profile 100 + n and leads project 200 + n, of which user n + 1 is a member. User 19 is
-- hidden and has no place of work.

insert into users_user
  (id, password, is_staff, is_superuser, date_joined, username, first_name, last_name, email,
   display_first_name, display_last_name)
select n, 'hash-' || n, true, n = 20, '2020-01-01', 'user' || n, 'First' || n, 'Last' || n,
  'user' || n || '@spms.test', 'Shown' || n, 'Name' || n
from generate_series(1, 20) as n;

insert into auth_group (id, name) values (2, 'Group'), (3, 'Other group');
insert into django_content_type (id, app_label, model) values (4, 'users', 'user');
insert into auth_permission (id, content_type_id, codename, name) values (5, 4, 'one', 'One');

insert into agencies_agency (id, name) values (431, 'Agency'), (432, 'Other agency');
insert into medias_agencyimage (id, agency_id, file) values (433, 431, 'agencies/431.png');
insert into agencies_branch (id, agency_id, name)
select 420 + n, 431, 'Branch ' || n from generate_series(1, 3) as n;
insert into agencies_affiliation (id, name)
select 440 + n, 'Affiliation ' || n from generate_series(1, 3) as n;
insert into agencies_departmentalservice (id, name) values (451, 'Service'), (452, 'Other service');
insert into agencies_division (id, name, slug) values (411, 'Division', 'd'), (412, 'Other', 'o');
insert into agencies_division_directorate_email_list (id, division_id, user_id) values
  (413, 411, 6), (414, 412, 7);
insert into agencies_businessarea (id, agency_id, name, division_id, leader_id) values
  (401, 431, 'Area 1', 411, 1), (402, 431, 'Area 2', 411, 2),
  (403, 431, 'Area 3', 412, 3), (404, 431, 'Area 4', null, null);
insert into medias_businessareaphoto (id, business_area_id, file)
select 80 + n, n, 'business_areas/' || n from generate_series(401, 403) as n;

insert into users_userwork
  (id, user_id, agency_id, branch_id, business_area_id, affiliation_id, role)
select 500 + n, n, 431 + n % 2, 421 + n % 3, 401 + n % 4, 441 + n % 3, 'Role ' || n
from generate_series(1, 18) as n;
insert into users_userprofile (id, user_id, title)
select 540 + n, n, 'dr' from generate_series(1, 19) as n;
insert into contacts_usercontact (id, user_id, phone, fax)
select 560 + n, n, 'phone ' || n, 'fax ' || n from generate_series(1, 19) as n;
insert into medias_useravatar (id, user_id, file)
select 580 + n, n, 'user_avatars/' || n from generate_series(1, 10) as n;

insert into users_publicstaffprofile
  (id, user_id, is_hidden, about, expertise, public_email, public_email_on, custom_title)
select 100 + n, n, n = 19, 'About ' || n, 'Expertise ' || n, 'public' || n || '@spms.test', true,
  'Title ' || n
from generate_series(1, 20) as n;
insert into users_keywordtag (id, name) values (471, 'birds'), (472, 'fish');
insert into users_publicstaffprofile_keyword_tags (id, publicstaffprofile_id, keywordtag_id)
select 1700 + n, n, 471 from generate_series(101, 105) as n
union all
select 1800 + n, n, 472 from generate_series(103, 107) as n;
insert into users_employmententry (id, public_profile_id, position_title, start_year)
select 1500 + n, 100 + n, 'Position ' || n, 2000 from generate_series(1, 10) as n;
insert into users_educationentry
  (id, public_profile_id, qualification_name, end_year, institution, location)
select 1600 + n, 100 + n, 'Degree ' || n, 2000, 'UWA', 'Perth' from generate_series(1, 10) as n;

-- Caretakers: a short chain (3 for 2, 2 for 1), and a chain of eight, which is longer than pages show.
-- Users 2 and 5 both act for user 1. The caretaker of user 11 has ended.
insert into caretakers_caretaker (id, user_id, caretaker_id, end_date) values
  (601, 1, 2, null), (602, 2, 3, null), (603, 1, 5, '2100-01-01'), (604, 11, 12, '2020-01-01');
insert into caretakers_caretaker (id, user_id, caretaker_id)
select 600 + n, n, n + 1 from generate_series(13, 19) as n;

insert into projects_project
  (id, kind, status, year, number, title, description, start_date, end_date, business_area_id)
select 200 + n, (array['external', 'student', 'science', 'core_function'])[1 + n % 4], 'active',
  2000 + n, n, 'Project ' || n, 'Description ' || n, '2020-02-01', '2030-02-01', 401 + n / 2 % 4
from generate_series(1, 20) as n;
insert into projects_projectmember (id, project_id, user_id, is_leader, role, position)
select 620 + n, 200 + n, n, true, 'supervising', 1 from generate_series(1, 20) as n where n <> 19
union all
select 640 + n, 200 + n, n % 20 + 1, false, 'research', 2
from generate_series(1, 20) as n where n <> 18;
insert into projects_externalprojectdetails (id, project_id, description)
select 660 + n, 200 + n, 'Outside ' || n from generate_series(1, 20) as n where n % 4 = 0 or n = 2;
insert into projects_studentprojectdetails (id, project_id, level, organisation)
select 680 + n, 200 + n, 'phd', 'UWA' from generate_series(1, 20) as n where n % 4 = 1;
insert into projects_projectdetail
  (id, project_id, creator_id, modifier_id, owner_id, data_custodian_id, site_custodian_id,
   service_id)
select 700 + n, 200 + n, 1 + (n + 2) % 20, 1 + (n + 3) % 20, 1 + (n + 4) % 20, 1 + (n + 5) % 20,
  1 + (n + 6) % 20, 451 + n % 2
from generate_series(1, 19) as n;
insert into medias_projectphoto (id, project_id, file, size, uploader_id)
select 720 + n, 200 + n, 'projects/' || n, 1, 10 + n from generate_series(1, 10) as n;
insert into locations_area (id, name, area_type) values
  (461, 'Kimberley', 'dbcaregion'), (462, 'Pilbara', 'dbcaregion'), (463, 'Perth', 'dbcadistrict');
insert into projects_projectarea (id, project_id, areas)
select 740 + n, 200 + n, array[461 + n % 2] from generate_series(1, 18) as n;
insert into adminoptions_admintask (id, action, status, project_id) values
  (761, 'deleteproject', 'pending', 205), (762, 'setcaretaker', 'pending', null);

insert into documents_annualreport (id, year, date_open, date_closed) values
  (771, 2020, '2020-01-01', '2020-12-31'), (772, 2021, '2021-01-01', '2021-12-31');
insert into documents_projectdocument (id, project_id, kind, status)
select 1000 * kind + 800 + n, 200 + n,
  (array['concept', 'projectplan', 'progressreport', 'studentreport', 'projectclosure'])[kind], 'new'
from generate_series(1, 10) as n, generate_series(1, 5) as kind;
insert into documents_conceptplan (id, document_id, project_id)
select 810 + n, 1800 + n, 200 + n from generate_series(1, 10) as n;
insert into documents_projectplan (id, document_id, project_id)
select 830 + n, 2800 + n, 200 + n from generate_series(1, 10) as n;
insert into documents_progressreport (id, document_id, project_id, report_id, year)
select 850 + n, 3800 + n, 200 + n, 771, 2020 from generate_series(1, 10) as n;
insert into documents_studentreport (id, document_id, project_id, report_id, year)
select 870 + n, 4800 + n, 200 + n, 771, 2020 from generate_series(1, 10) as n;
insert into documents_projectclosure (id, document_id, project_id)
select 890 + n, 5800 + n, 200 + n from generate_series(1, 10) as n;
