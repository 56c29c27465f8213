-- A few rows of every table that cached answers read, with links of every kind and a second target
-- for each link. Tables have different ids, so a rule that uses the wrong column names a missing
-- entry.

insert into users_user
  (id, password, is_superuser, is_staff, is_active, date_joined, username, first_name, last_name,
   email, display_first_name, display_last_name, is_aec)
values
  (1, 'hash-1', false, true, true, '2020-01-01', 'ada', 'Ada', 'Lane', 'ada@spms.test', 'Ada', 'Lane', false),
  (2, 'hash-2', false, true, true, '2020-01-01', 'ben', 'Ben', 'Moor', 'ben@spms.test', 'Ben', 'Moor', true),
  (3, 'hash-3', true, true, true, '2020-01-01', 'cyd', 'Cyd', 'Nash', 'cyd@spms.test', 'Cyd', 'Nash', false),
  (4, 'hash-4', false, false, true, '2020-01-01', 'dee', null, null, 'dee@spms.test', null, null, false),
  (5, 'hash-5', false, true, false, '2020-01-01', 'eli', 'Eli', 'Orr', 'eli@spms.test', 'Eli', 'Orr', false);

insert into agencies_agency (id, name) values (101, 'Agency'), (102, 'Other agency');

insert into agencies_branch (id, agency_id, name, manager_id) values
  (111, 101, 'Branch', 1), (112, null, 'Other branch', null);

insert into agencies_division (id, name, slug, director_id, approver_id) values
  (121, 'Division', 'd', 1, 2), (122, 'Other division', 'o', null, null);

insert into agencies_division_directorate_email_list (id, division_id, user_id) values
  (131, 121, 4), (132, 121, 1), (133, 122, 3);

insert into agencies_businessarea
  (id, agency_id, name, slug, division_id, published, is_active, leader_id, finance_admin_id,
   data_custodian_id, caretaker_id, cost_center, focus, introduction)
values
  (141, 101, 'Area', 'a', 121, true, true, 1, 2, 3, 4, 7, 'Focus', 'Introduction'),
  (142, 101, 'Other area', null, 122, true, true, null, null, null, null, null, null, null),
  (143, 101, 'Area without division', null, null, false, false, 2, null, null, null, null, '', ''),
  (144, 101, 'Directorate', null, null, true, true, null, null, null, null, null, null, null);

insert into medias_businessareaphoto (id, file, size, business_area_id, uploader_id) values
  (151, 'business_areas/141.png', 1, 141, 1), (152, null, 0, 142, null);

insert into agencies_affiliation (id, created_at, updated_at, name) values
  (271, '2024-04-01 00:00+00', '2024-04-02 00:00+00', 'Affiliation');

insert into users_userwork
  (id, user_id, agency_id, branch_id, business_area_id, affiliation_id, role)
values
  (161, 1, 101, 111, 141, 271, 'Admin'), (162, 2, null, null, 142, null, null),
  (163, 3, 101, 112, null, null, 'None'), (164, 5, null, null, 144, null, null);

insert into medias_useravatar (id, file, size, user_id) values
  (171, 'user_avatars/1.png', 1, 1), (172, '', 0, 4);

insert into users_publicstaffprofile
  (id, user_id, is_hidden, about, expertise, public_email, public_email_on, custom_title,
   custom_title_on)
values
  (181, 1, false, 'About Ada', 'Owls', 'ada@public.test', true, 'Keeper', true),
  (182, 2, false, null, null, 'ben@public.test', false, 'Warden', false),
  (183, 3, true, 'About Cyd', '', null, true, null, true),
  (185, 5, false, 'About Eli', 'Ants', null, false, null, false);

insert into users_keywordtag (id, name) values (191, 'birds'), (192, 'fish'), (193, 'unused');

insert into users_publicstaffprofile_keyword_tags (id, publicstaffprofile_id, keywordtag_id) values
  (201, 181, 191), (202, 181, 192), (203, 182, 191);

insert into users_employmententry
  (id, public_profile_id, position_title, start_year, end_year, section, employer)
values
  (211, 181, 'Keeper', 2010, null, 'Section', 'Employer'),
  (212, 181, 'Helper', 2010, 2011, null, null),
  (213, 182, 'Warden', 2015, 2016, '', '');

insert into users_educationentry
  (id, public_profile_id, qualification_name, end_year, institution, location)
values
  (221, 181, 'BSc', 2000, 'UWA', 'Perth'), (222, 181, 'PhD', 2005, 'UWA', 'Perth');

insert into projects_project
  (id, created_at, updated_at, kind, status, year, number, title, description, tagline, keywords,
   start_date, end_date, business_area_id, deletion_requested, hidden_from_staff_profiles)
values
  (231, '2024-01-31 16:00:00.000001+00', '2024-02-01', 'science', 'active', 2024, 1, 'Owls',
   'About owls', 'Tagline', 'owl', '2024-02-01', '2025-12-31', 141, false, '{}'),
  (232, '2023-01-01', '2023-01-01', 'external', 'new', 2023, 2, 'Fish', 'About fish', null, null,
   null, null, 142, false, '{2}'),
  (233, '2022-01-01', '2022-01-01', null, 'completed', 2022, 3, 'Ants', null, null, null, null,
   null, null, true, '{}'),
  (234, '2022-01-01', '2022-01-01', 'external', 'completed', 2022, 4, 'Nothing yet', 'Unseen', null,
   null, '2022-01-01', null, 143, false, '{}');

insert into projects_externalprojectdetails (id, project_id, description, budget) values
  (241, 231, 'Seen when the kind changes', '1'), (242, 232, 'From outside', '2');

insert into projects_projectmember (id, project_id, user_id, is_leader, role, position) values
  (251, 231, 1, true, 'supervising', 1), (252, 231, 2, false, 'research', 2),
  (253, 232, 1, false, 'technical', 1), (254, 232, 2, true, 'supervising', 1),
  (255, 233, 3, true, 'supervising', 1), (256, 234, 1, false, 'group', 3),
  (257, 232, 5, false, 'research', 3), (258, 234, 4, false, 'student', 1);

insert into medias_projectphoto (id, created_at, updated_at, file, size, project_id, uploader_id)
values
  (261, '2024-03-01', '2024-03-02', 'projects/231.png', 5, 231, 4),
  (262, '2024-03-01', '2024-03-02', null, 0, 232, 1);

insert into locations_area (id, name, area_type) values
  (281, 'Kimberley', 'dbcaregion'), (282, 'Pilbara', 'dbcaregion');

insert into projects_projectarea (id, project_id, areas) values (291, 231, '{282,281,999}');

insert into adminoptions_admintask (id, action, status, project_id) values
  (301, 'deleteproject', 'rejected', 231), (302, 'deleteproject', 'pending', 231),
  (303, 'deleteproject', 'pending', 231), (304, 'setcaretaker', 'pending', 233);

insert into adminoptions_admintask
  (id, created_at, updated_at, action, status, project_id, requester_id, primary_user_id,
   secondary_users, reason, start_date, end_date, notes)
values
  (305, '2024-06-01', '2024-06-02', 'setcaretaker', 'pending', null, 1, 2, '[4]', 'Reason',
   '2024-07-01', '2101-07-01', 'Notes'),
  (306, '2024-06-03', '2024-06-04', 'mergeuser', 'pending', null, 4, 1, '[2, 5]', null, null, null,
   null);

insert into auth_group (id, name) values (311, 'Group'), (312, 'Other group');

insert into users_user_groups (id, user_id, group_id) values (321, 1, 311), (322, 2, 312);

insert into django_content_type (id, app_label, model) values (331, 'users', 'user');

insert into auth_permission (id, name, content_type_id, codename) values
  (341, 'View', 331, 'view'), (342, 'Change', 331, 'change');

insert into users_user_user_permissions (id, user_id, permission_id) values
  (351, 1, 341), (352, 2, 342);

insert into agencies_departmentalservice (id, name, director_id) values
  (401, 'Service', 1), (402, 'Other service', null);

insert into projects_projectdetail
  (id, created_at, updated_at, project_id, creator_id, modifier_id, owner_id, data_custodian_id,
   site_custodian_id, service_id, old_output_program_id)
values
  (411, '2024-05-01', '2024-05-02', 231, 5, 5, 5, 5, 5, 402, 1),
  (412, '2024-05-03', '2024-05-04 00:00:00.000005+00', 231, 1, 2, 3, 4, 5, 401, 7),
  (413, '2024-05-05', '2024-05-06', 232, null, null, null, null, null, null, null);

insert into projects_studentprojectdetails (id, project_id, level, organisation) values
  (421, 231, 'phd', 'UWA'), (422, 233, null, null);

insert into documents_annualreport (id, year, date_open, date_closed) values
  (431, 2020, '2020-05-01', '2020-08-31'), (432, 2021, '2021-05-01', '2021-08-31');

-- Document 448 belongs to another project than its text (491).
insert into documents_projectdocument (id, project_id, kind, status) values
  (441, 231, 'concept', 'approved'), (442, 231, 'concept', 'revising'),
  (443, 231, 'projectplan', 'inreview'), (444, 231, 'progressreport', 'approved'),
  (445, 231, 'progressreport', 'new'), (446, 232, 'studentreport', 'inapproval'),
  (447, 231, 'studentreport', 'new'), (448, 231, null, 'new');

insert into documents_projectdocument
  (id, project_id, kind, status, project_lead_approval_granted,
   business_area_lead_approval_granted, directorate_approval_granted)
values
  (449, 231, 'concept', 'inapproval', true, true, false),
  (450, 234, 'projectclosure', 'inapproval', true, false, false);

insert into medias_projectdocumentpdf (id, file, size, document_id, project_id) values
  (521, 'project_documents/449.pdf', 1, 449, 231);

insert into documents_conceptplan (id, document_id, project_id) values
  (451, 441, 231), (452, 442, 231);

insert into documents_projectplan (id, document_id, project_id) values
  (461, 443, 231), (462, 450, 234);

insert into documents_endorsement
  (id, project_plan_id, ae_endorsement_required, ae_endorsement_provided)
values (511, 461, true, false);

insert into documents_progressreport (id, document_id, project_id, report_id, year) values
  (471, 444, 231, 432, 2021), (472, 445, 231, 431, 2020);

insert into documents_studentreport (id, document_id, project_id, report_id, year) values
  (481, 446, 232, 432, 2021), (482, 447, 232, null, 2020);

insert into documents_projectclosure (id, document_id, project_id) values (491, 448, 233);

insert into users_userprofile (id, user_id, title, middle_initials) values
  (361, 1, 'dr', 'A'), (362, 2, null, null);

insert into contacts_usercontact (id, user_id, email, phone, alt_phone, fax) values
  (371, 1, 'ada@home.test', '1', '2', '3'), (372, 2, null, null, null, null);

insert into medias_agencyimage (id, file, size, agency_id) values (381, 'agencies/101.png', 1, 101);

-- A cycle (391 to 393), ended relations (394, 395) and a link between the cycle and user 4 (396).
insert into caretakers_caretaker (id, user_id, caretaker_id, end_date) values
  (391, 1, 2, null), (392, 2, 3, '2101-01-01 08:00+08'), (393, 3, 1, null), (394, 1, 4, '2001-01-01'),
  (395, 4, 5, '2002-01-01 08:00:00.000001+08'), (396, 4, 1, null);
